"""What a training step keeps on the graphics card, and whether all of it has room there."""

from __future__ import annotations

import logging

import torch
from torch import nn

logger = logging.getLogger(__name__)

GIB = 2**30


def step_bytes(model: nn.Module, tokens: int, precision: str) -> float:
    """Bytes that weights and a step without gradient checkpointing take at most.

    A trained weight takes 16: itself, its gradient and AdamW's two moments in single precision; a frozen one 4. In half
    precision a copy of 2 is kept until its gradient is there. Of each of `tokens` (rows x the longest one) every linear
    layer keeps its input and its output, 2 or 4 bytes a number, and every norm both in single precision. So a layer of
    XLM-RoBERTa-large keeps 52 x 1,024 bytes a token in half precision; Korthikanti et al. 2022 (arXiv 2205.05198, eq.
    1) have 34 x 1,024 where norms are in half precision and inputs are shared. Attention is left out, as there:
    fused kernels do not keep it. An H100 had 15.0 GiB of tensors where this says 19.2 (benchmarks/train_card.json, 32 x
    256 tokens in bfloat16) and 16.2 with kernels and buffers: there is room for these.
    """
    number = 4 if precision == "fp32" else 2
    copied = 0 if precision == "fp32" else 2
    weights = sum(
        parameter.numel() * ((16 if parameter.requires_grad else 4) + copied) for parameter in model.parameters()
    )
    linear = sum(layer.in_features + layer.out_features for layer in model.modules() if isinstance(layer, nn.Linear))
    norms = sum(
        parameter.numel()
        for layer in model.modules()
        if type(layer).__name__.endswith("Norm")
        for name, parameter in layer.named_parameters()
        if name == "weight"
    )
    return weights + tokens * (number * linear + 4 * 2 * norms)


def has_room(model: nn.Module, tokens: int, precision: str) -> bool:
    """Whether a step without gradient checkpointing fits the graphics card; true on a CPU."""
    if not torch.cuda.is_available():
        return True
    needed = step_bytes(model, tokens, precision)
    # What this process holds already is free for it.
    free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
    fits = needed < free
    logger.info(
        "gradient checkpointing: %s; without, a step takes about %.1f GiB of the %.1f that are free",
        "off" if fits else "on",
        needed / GIB,
        free / GIB,
    )
    return fits
