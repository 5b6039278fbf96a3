"""An encoder without layers: every token has a vector and a weight of its own, whatever stands beside it.

This file stands alone: it is saved beside a student's weights, and `trust_remote_code=True` loads both anywhere.
"""

from __future__ import annotations

from typing import Any

import torch
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput


@strict
class StaticEncoderConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """`vocab_size` tokens with vectors of `hidden_size`; texts may have any length."""

    model_type = "static_encoder"
    vocab_size: int = 1
    hidden_size: int = 1
    num_hidden_layers: int = 0
    max_position_embeddings: int = 1_000_000
    pad_token_id: int | None = 0


class StaticEncoder(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Vectors of tokens, as attention over them would mix them: the mean of what it gives is the weighted mean.

    A token's share in its text is the softmax of the tokens' weights (Yang et al. 2016, N16-1174, section 2.2, with a
    weight for each word of the vocabulary).
    """

    config_class = StaticEncoderConfig
    base_model_prefix = "static_encoder"

    def __init__(self, config: StaticEncoderConfig) -> None:
        """Make an encoder with random vectors."""
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embedding_weights = nn.Embedding(config.vocab_size, 1)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Module:
        """The table of vectors."""
        return self.embeddings

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> BaseModelOutput:
        """Hidden states (rows, tokens, size) of token ids (rows, tokens)."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        vectors = self.embeddings(input_ids)
        seen = attention_mask.unsqueeze(-1).to(vectors.dtype)
        # Large weights, so that no arithmetic is left to a token outside the mask.
        weights = self.embedding_weights(input_ids) - (1 - seen) * 30_000
        shares = weights.softmax(dim=1) * seen.sum(dim=1, keepdim=True)
        return BaseModelOutput(last_hidden_state=vectors * shares)


StaticEncoderConfig.register_for_auto_class()  # type: ignore[no-untyped-call]
StaticEncoder.register_for_auto_class("AutoModel")  # type: ignore[no-untyped-call]
AutoConfig.register("static_encoder", StaticEncoderConfig, exist_ok=True)
AutoModel.register(StaticEncoderConfig, StaticEncoder, exist_ok=True)
