"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
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


def physical_cores() -> int:
    """The cores that this process may use, at least 1: two threads of one core get in each other's way."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    siblings = (Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list") for cpu in os.sched_getaffinity(0))
    return len({path.read_text() if path.is_file() else path for path in siblings})
