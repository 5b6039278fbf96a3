"""What the hardware can train in."""

from __future__ import annotations

import torch

from stages.running.config import require
from stages.running.peak import engine_dtype


def require_precision(precision: str) -> None:
    """Stop before half precision on hardware that has none.

    Raises:
        ConfigError: float16 on a processor, or bfloat16 where it would be emulated.
    """
    if precision == "fp32":
        return
    if not torch.cuda.is_available():
        native = precision == "bf16" and engine_dtype("auto") == "bfloat16"
        wanted = "a graphics card, or a processor with AVX512-BF16 or AMX" if precision == "bf16" else "a graphics card"
        require(native, f"train.precision={precision} needs {wanted}; use train.precision=fp32")
    elif precision == "bf16":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        require(native, "train.precision=bf16 would be emulated on this graphics card; use train.precision=fp16")
