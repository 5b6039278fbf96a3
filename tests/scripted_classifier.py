"""A classifier whose answers follow from the text alone: `python -m tests.scripted_classifier INPUT OUTPUT`.

It answers a file as stage `predict` does, and prints the peak of its memory in MiB. `RAZMETKA_SCRIPTED_DELAY` (seconds
a text) makes it slow enough to be killed in the middle.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.common.arrays import FloatArray
from stages.inference.streaming import Options, answer_file
from stages.running.errors import run_stage


class ScriptedClassifier:
    """Three categories, drawn by the text's hash."""

    def __init__(self, folder: Path) -> None:
        self.labels = ["обувь", "одежда", "посуда"]
        self._delay = float(os.environ.get("RAZMETKA_SCRIPTED_DELAY", "0"))

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        time.sleep(self._delay * len(texts))
        weights = np.array([[*hashlib.sha256(text.encode()).digest()[:3]] for text in texts], dtype=np.float64) + 1
        return weights / weights.sum(axis=1, keepdims=True)


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    answer_file(source, target, source.parent / "model", ScriptedClassifier, Options("text", 0.5))
    # Not `ru_maxrss`, which a child inherits from the process that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    print(int(status["VmHWM"].split()[0]) / 2**10)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    run_stage(main)
