"""What an encoder gives the head, kept: students that differ in the head alone share one pass over a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from stages.common.arrays import Vectors
from stages.common.fingerprint import code_fingerprint
from stages.common.vectors import VectorStore
from stages.running.errors import card_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Texts between two writes to disk on a graphics card.
AT_A_TIME = 1024

# Makes a classifier and its tokenizer, where some text is not known yet.
Load: TypeAlias = "Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]]"


def head_inputs(space: str, texts: Sequence[str], load: Load, batch_size: int = 64) -> Vectors:
    """What reaches the last linear layer, without dropout; shape (texts, features), in the order of `texts`.

    Args:
        space: names the encoder and all that changes what it gives (see `vectors.space`).
        texts: as the student gets them; longer ones are cut where its tokenizer cuts them.
        load: makes the student, if it is needed.
        batch_size: see `head_input_parts`.
    """

    def compute(missing: Sequence[str]) -> Iterator[Vectors]:
        model, tokenizer = load()
        return head_input_parts(model, tokenizer, missing, batch_size)

    # A card computes in the precision of training, batch by batch.
    where = "cuda" if torch.cuda.is_available() else "cpu"
    return VectorStore().of(f"{space} {where} {code_fingerprint(__file__)}", texts, compute, "encode")


def last_linear(model: PreTrainedModel) -> torch.nn.Linear:
    """The layer that gives the logits."""
    fitting = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == model.config.num_labels
    ]
    return fitting[-1]


def compute_head_inputs(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], batch_size: int
) -> Vectors:
    """`head_inputs` of what the encoder is now, without a store; arguments as of `head_input_parts`."""
    return np.concatenate([*head_input_parts(model, tokenizer, texts, batch_size)])


def head_input_parts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], batch_size: int
) -> Iterator[Vectors]:
    """What reaches the last linear layer for `texts` in their order, some at a time; computed where the model is.

    Args:
        model: a sequence classifier, at whose last linear layer the features are read.
        tokenizer: cuts long texts where it was told to.
        texts: any number; for none there is one part without rows.
        batch_size: texts a batch on a graphics card. On a CPU a text by itself costs little more, and what it gets
            follows from it alone: how sums round depends on which texts share a batch.
    """
    seen: list[torch.Tensor] = []
    head = last_linear(model)
    alone = model.device.type == "cpu"
    step, size = (1, 1) if alone else (AT_A_TIME, batch_size)
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    was_training = model.training
    model.train(False)
    try:
        for start in range(0, len(texts), step):
            part = texts[start : start + step]
            features = torch.empty(len(part), head.in_features)
            # Texts of like length share a batch, so that little is padded.
            order = sorted(range(len(part)), key=lambda row: len(part[row]))
            for first in range(0, len(order), size):
                rows = order[first : first + size]
                batch: Any = tokenizer([part[row] for row in rows], truncation=True, padding=True, return_tensors="pt")
                inputs = batch.to(model.device)
                with torch.inference_mode(), card_memory("lower answer.batch_size or train.batch_size"):
                    model(**inputs)
                features[rows] = one_a_text(seen.pop(), inputs["attention_mask"]).float().cpu()
            yield features.numpy()
        if not texts:
            yield np.empty((0, head.in_features), dtype=np.float32)
    finally:
        hook.remove()
        model.train(was_training)


def one_a_text(inputs: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """A row a text: models of decoder architecture put their head on every token and take the last one's logits."""
    if inputs.ndim == 2:
        return inputs
    last = (attention_mask * torch.arange(attention_mask.shape[1], device=attention_mask.device)).argmax(dim=1)
    return inputs[torch.arange(len(inputs), device=inputs.device), last]
