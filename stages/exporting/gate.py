"""Whether int8 may be used: what it costs on reviews that people checked.

They are the calibration rows, to which nothing but the student's confidence was fitted. Chosen by the gold reviews, the
scores on them would be better than they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.common.arrays import FloatArray, IntArray
from stages.common.gold import labelled_gold
from stages.training.rows import calibration_rows, load_rows
from stages.training.validation import validation_scores


@dataclass(frozen=True)
class Rows:
    """Texts, their label indices, shape (rows,), and whether people gave them or, where nobody did, the teacher."""

    texts: list[str]
    labels: IntArray
    checked: bool


@dataclass(frozen=True)
class Gate:
    """What int8 costs on so many rows: macro F1 of the student and of int8, the largest difference of a probability.

    `max_difference_fp32` is that of the fp32 graph to the student, on a few of the rows.
    """

    rows: int
    checked: bool
    macro_f1: float
    macro_f1_int8: float
    max_difference: float
    max_difference_fp32: float
    max_f1_drop: float
    passed: bool


def gate_rows(data: Path, label_names: Sequence[str]) -> Rows:
    """The rows below the folder `data` that the student's confidence was fitted to."""
    validation = load_rows(data / "dataset", "validation", label_names)
    found = calibration_rows(labelled_gold(data / "ingest/calibration.parquet", label_names), validation)
    by_people = found.checked + found.answered > 0
    return Rows(found.rows["text"][:], np.asarray(found.rows["label"][:], dtype=np.int64), by_people)


def judge(rows: Rows, itself: FloatArray, int8: FloatArray, difference_fp32: float, max_f1_drop: float) -> Gate:
    """Compare what the student answers `itself` with what its int8 graph does, both (rows, labels).

    int8 passes if its macro F1 is at most `max_f1_drop` below the student's.
    """
    before, after = (validation_scores(answers, rows.labels)["macro_f1"] for answers in (itself, int8))
    return Gate(
        rows=len(rows.texts),
        checked=rows.checked,
        macro_f1=round(before, 4),
        macro_f1_int8=round(after, 4),
        max_difference=round(float(np.abs(int8 - itself).max()), 4),
        max_difference_fp32=float(f"{difference_fp32:.1e}"),
        max_f1_drop=max_f1_drop,
        passed=before - after <= max_f1_drop,
    )
