"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    # For the types alone: it imports pandas.
    from stages.common.arrays import Vectors

# What the graph of an encoder gives: a vector for each text, which is what reaches a student's head.
EMBEDDING = "embedding"
# Microseconds that a thread without work looks out for some before it sleeps. By default it looks out far longer: where
# each core has a run of its own, runs would share the cores with threads that compute nothing.
SPIN = 20
# Texts that one core computes at a time, so that weights are read once for all of them.
TOGETHER = 4


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


def computed(graph: Any, texts: Sequence[Sequence[int]], outputs: Sequence[str], cores: int) -> list[Vectors]:
    """Each of `outputs` of a session on a graph, shape (texts, size), for the tokens of one text or more.

    Of several texts each core has some of as many tokens, of a single one as much as the session gives it. Nothing is
    padded: in int8, what padding changes in a sum's last digit moved probabilities by 0.02.
    """
    # The longest first: at the end no core waits long for another.
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]), reverse=True)
    size = min(TOGETHER, ceil(len(order) / cores))
    groups: list[list[Sequence[int]]] = []
    for _, alike in groupby((texts[row] for row in order), key=len):
        some = [*alike]
        groups += [some[start : start + size] for start in range(0, len(some), size)]
    run = partial(_run, graph, outputs)
    if len(groups) == 1:
        found = [run(groups[0])]
    else:
        with ThreadPoolExecutor(cores) as pool:
            found = [*pool.map(run, groups)]
    return [np.concatenate(rows)[np.argsort(order)] for rows in zip(*found, strict=True)]


def _run(graph: Any, outputs: Sequence[str], group: Sequence[Sequence[int]]) -> list[Vectors]:
    ids = np.array(group, dtype=np.int64)
    given: list[Vectors] = graph.run(outputs, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    return given
