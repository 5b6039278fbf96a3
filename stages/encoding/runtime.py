"""ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime


def open_graph(path: Path, threads: int) -> Any:
    """A session on the graph in `path`, each of whose runs is computed by so many `threads`.

    Raises:
        Exception: of ONNX Runtime's own kinds, which share no base: the file is damaged or missing.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Warnings about what is folded at loading.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
