"""A classifier on what a sentence embedder gives: one vector of its tokens, and a linear head.

Beside it there may be a lexicon: what each token by itself says of a text.

`transformers`' own classifiers of some encoders read a single token, which their pretraining never did. This file and
`static_encoder.py` stand alone: they are saved beside a student's weights, and `trust_remote_code=True` loads both
anywhere.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTextEncoding,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

# Relative, as transformers copies what is imported so along with this file; it learns of the encoder by that.
from .lexicon import of_one_length
from .static_encoder import StaticEncoder  # noqa: F401

# Encoders that were trained with a decoder, which `AutoModel` would load too; some say no more that they had one.
WITH_DECODER = ("t5", "mt5", "umt5")


def encoder_class(config: Any) -> Any:
    """The class that loads the encoder of `config`, and no decoder."""
    return AutoModelForTextEncoding if config.model_type in WITH_DECODER else AutoModel


@strict
class SentenceClassifierConfig(PreTrainedConfig):
    """Labels as in every classifier; `encoder` is the encoder's own configuration.

    `pooling` makes one vector of the tokens': their `mean`, the first one with `cls`, or the last one with `last`;
    `lexicon`: whether tokens have a say of their own.
    """

    model_type = "sentence_classifier"
    sub_configs: ClassVar[dict[str, Any]] = {"encoder": AutoConfig}
    encoder: Any = None
    pooling: str = "mean"
    lexicon: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        if isinstance(self.encoder, dict):
            self.encoder = AutoConfig.for_model(**self.encoder)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]


class SentenceClassifier(PreTrainedModel):  # type: ignore[no-untyped-call]
    """An encoder, its tokens pooled (Reimers & Gurevych 2019, arXiv 1908.10084, sec. 3), and a linear head.

    Logits of a lexicon are added to its own: a product of experts (Hinton 2002, doi 10.1162/089976602760128018, eq. 1).
    """

    config_class = SentenceClassifierConfig
    base_model_prefix = "encoder"
    supports_gradient_checkpointing = True

    def __init__(self, config: SentenceClassifierConfig) -> None:
        """Make a classifier with random weights."""
        super().__init__(config)
        self.encoder = encoder_class(config.encoder).from_config(config.encoder)
        self.classifier = nn.Linear(config.encoder.hidden_size, config.num_labels)  # type: ignore[arg-type]
        # Of a token what it says for each label, and what it weighs, squared.
        tokens = self.encoder.get_input_embeddings().weight.shape[0]
        self.lexicon = nn.Embedding(tokens, config.num_labels + 1) if config.lexicon else None  # type: ignore[operator]
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any
    ) -> SequenceClassifierOutput:
        """Logits (rows, labels) of token ids (rows, tokens)."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        vectors = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits = self.classifier(self._pooled(vectors, attention_mask))
        if self.lexicon is not None:
            said = (self.lexicon(input_ids) * attention_mask.unsqueeze(-1)).sum(dim=1)
            logits = logits + of_one_length(said).to(logits.dtype)
        return SequenceClassifierOutput(logits=logits)

    def _pooled(self, vectors: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """A vector (rows, size) of the tokens' (rows, tokens, size)."""
        if self.config.pooling == "cls":
            return vectors[:, 0]
        if self.config.pooling == "last":
            last = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
            return vectors[torch.arange(vectors.shape[0], device=vectors.device), last]
        seen = mask.unsqueeze(-1).to(vectors.dtype)
        return (vectors * seen).sum(dim=1) / seen.sum(dim=1)


SentenceClassifierConfig.register_for_auto_class()  # type: ignore[no-untyped-call]
SentenceClassifier.register_for_auto_class("AutoModelForSequenceClassification")  # type: ignore[no-untyped-call]
AutoConfig.register("sentence_classifier", SentenceClassifierConfig, exist_ok=True)
AutoModelForSequenceClassification.register(SentenceClassifierConfig, SentenceClassifier, exist_ok=True)
