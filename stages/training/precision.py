"""What the hardware can train in."""

from __future__ import annotations

import torch

from stages.running.config import require


def require_precision(precision: str) -> None:
    """Stop before half precision on hardware that has none.

    Raises:
        ConfigError: no graphics card, or bfloat16 on one that would emulate it.
    """
    if precision == "fp32":
        return
    cuda = torch.cuda.is_available()
    require(cuda, f"train.precision={precision} needs a graphics card; use train.precision=fp32")
    if precision == "bf16":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        require(native, "train.precision=bf16 would be emulated on this graphics card; use train.precision=fp16")
