"""A student as an ONNX graph: token ids in, probabilities out; pooling, head, temperature and softmax inside.

What reaches the head comes out too: by it, texts are near to one another.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.encoding.graph import write_graph
from stages.inference.features import last_linear, one_a_text
from stages.inference.onnx_classifier import EMBEDDING, PROBABILITIES

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def write_classifier(student: PreTrainedModel, path: Path) -> None:
    """Write a graph whose outputs are `probabilities` (rows, labels), `embedding` (rows, features); see `write_graph`.

    The latter is what `inference.features` keeps of a text.
    """

    def answers(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen: list[torch.Tensor] = []
        hook = last_linear(model).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        distributions: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits.softmax(dim=-1)
        hook.remove()
        return distributions, one_a_text(seen.pop(), mask)

    write_graph(student, answers, [PROBABILITIES, EMBEDDING], path)
