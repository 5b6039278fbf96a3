"""What a measurement ran on."""

from __future__ import annotations

import torch

from stages.hardware.machine import cpu_model


def conditions() -> dict[str, str | int | None]:
    """Processor, graphics card if there is one, threads and torch version."""
    return {
        "cpu": cpu_model(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
