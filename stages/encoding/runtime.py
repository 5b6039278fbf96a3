"""ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

# What the graph of an encoder gives: a vector for each text, which is what reaches a student's head.
EMBEDDING = "embedding"
# Microseconds that a thread without work looks out for some before it sleeps. By default it looks out far longer: where
# each core has a run of its own, runs would share the cores with threads that compute nothing.
SPIN = 20


def open_graph(path: Path, threads: int) -> Any:
    """A session on the graph in `path`, each of whose runs is computed by up to so many `threads`, which runs share.

    Raises:
        Exception: of ONNX Runtime's own kinds, which share no base: the file is damaged or missing.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN))
    # Warnings about what is folded at loading.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
