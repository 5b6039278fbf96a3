"""What makes logits of an encoder's features: a student's last layer, and its lexicon if it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import embedding_bag

from stages.common.arrays import FloatArray, Vectors
from stages.encoding.lexicon import of_one_length
from stages.inference.features import last_linear

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Token ids of each text.
Ids = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Head:
    """Weights (labels, features) and, where the architecture has them, biases (labels,); in float32 as all of it.

    `lexicon`: what each token says by itself (tokens, labels + 1), as in `SentenceClassifier`; None without one.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    lexicon: torch.Tensor | None = None

    @classmethod
    def of(cls, model: PreTrainedModel) -> Head:
        """What `model` holds now."""
        layer, lexicon = last_linear(model), lexicon_of(model)
        kept = (None if part is None else part.detach().float().cpu().clone() for part in (layer.bias, lexicon))
        return cls(layer.weight.detach().float().cpu().clone(), *kept)

    def put_into(self, model: PreTrainedModel) -> None:
        """Make it the head of `model`."""
        layer, lexicon = last_linear(model), lexicon_of(model)
        with torch.no_grad():
            layer.weight.copy_(self.weight)
            if self.bias is not None:
                layer.bias.copy_(self.bias)
            if lexicon is not None and self.lexicon is not None:
                lexicon.copy_(self.lexicon)

    def logits(self, features: Vectors, ids: Ids | None = None) -> FloatArray:
        """Logits (rows, labels) of features (rows, features); a lexicon reads the token `ids` of the same texts."""
        logits = torch.from_numpy(features) @ self.weight.T
        if self.bias is not None:
            logits = logits + self.bias
        if self.lexicon is not None and len(features):
            assert ids is not None, "a lexicon has to be given tokens"
            logits = logits + of_one_length(_summed(self.lexicon, ids))
        found: FloatArray = logits.numpy()
        return found

    def scaled(self, temperature: float) -> Head:
        """A head whose logits are those of this one divided by `temperature`."""
        bias, lexicon = self.bias, self.lexicon
        if lexicon is not None:
            lexicon = lexicon.clone()
            lexicon[:, :-1] /= temperature
        return Head(self.weight / temperature, None if bias is None else bias / temperature, lexicon)

    def beside(self, lexicon: torch.Tensor, bias: torch.Tensor) -> Head:
        """This head with a lexicon, whose `bias` (labels,) is added to its own."""
        return replace(self, lexicon=lexicon, bias=None if self.bias is None else self.bias + bias)


def lexicon_of(model: PreTrainedModel) -> torch.nn.Parameter | None:
    """The table of a model's lexicon (tokens, labels + 1), if it has one."""
    lexicon = getattr(model, "lexicon", None)
    table: torch.nn.Parameter | None = None if lexicon is None else lexicon.weight
    return table


def _summed(table: torch.Tensor, ids: Ids) -> torch.Tensor:
    """The sum over each text's tokens of their rows in `table`."""
    starts = torch.tensor([0, *map(len, ids)][:-1]).cumsum(0)
    flat = torch.tensor([token for text in ids for token in text], dtype=torch.int64)
    return embedding_bag(flat, table, starts, mode="sum")
