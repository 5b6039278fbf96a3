"""What a measurement ran on."""

from __future__ import annotations

import onnxruntime

from stages.hardware.machine import cpu_model


def conditions(threads: int) -> dict[str, str | int]:
    """Processor, threads and version of ONNX Runtime."""
    return {"cpu": cpu_model(), "threads": threads, "onnxruntime": onnxruntime.__version__}
