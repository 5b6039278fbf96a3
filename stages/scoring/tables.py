"""Tables for `dvc plots`: reliability, and accuracy by coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stages.common.arrays import BoolArray, FloatArray
from stages.scoring.metrics import BINS, confidence_bins


def reliability(confidence: FloatArray, correct: BoolArray, bins: int = BINS) -> pd.DataFrame:
    """How often answers of a given confidence are right: confidence, accuracy (means of the bin, 0…1), rows.

    The bins are those of `metrics.expected_calibration_error`, so the mean gap of the table, weighted by rows, is the
    ECE; empty bins are left out. `confidence` and `correct` have shape (rows,).
    """
    answered = ~np.isnan(confidence)
    frame = pd.DataFrame({"confidence": confidence[answered], "accuracy": correct[answered].astype(float)})
    bin_of_row = confidence_bins(frame["confidence"].to_numpy(), bins)
    means = frame.groupby(bin_of_row).mean().assign(rows=frame.groupby(bin_of_row).size())
    return means.round(4).reset_index(drop=True)


def coverage(confidence: FloatArray, correct: BoolArray, points: int = 20) -> pd.DataFrame:
    """Accuracy if only the surest answers are taken: coverage (share taken, 0…1), threshold (confidence), accuracy.

    `confidence` and `correct` have shape (rows,); without an answer (nan) a row is never taken.
    """
    order = np.argsort(-np.nan_to_num(confidence, nan=-1.0), kind="stable")
    accuracy = np.cumsum(correct[order]) / np.arange(1, len(order) + 1)
    taken = np.unique(np.ceil(np.linspace(0, 1, points + 1)[1:] * len(order)).astype(int))
    table = {"coverage": taken / len(order), "threshold": confidence[order][taken - 1], "accuracy": accuracy[taken - 1]}
    return pd.DataFrame(table).round(4)
