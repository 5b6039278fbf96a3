"""What becomes of the teacher's labels when a second opinion has been heard."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stages.common.arrays import FloatArray
from stages.curation.config import Curate
from stages.curation.second_opinion import combine


def likely_errors(labels: npt.NDArray[np.int64], opinion: FloatArray) -> npt.NDArray[np.bool_]:
    """Rows whose label is likely wrong, by confident learning (Northcutt et al. 2021, arXiv 1911.00068, eq. 2).

    A class's threshold is the mean probability that its own rows get for it. A row is flagged if it reaches the
    threshold of some class, and the likeliest of the classes that it reaches is not its label.

    Args:
        labels: (rows,) label indices. opinion: (rows, labels), by a model that did not learn from these labels.
    """
    counts = np.bincount(labels, minlength=opinion.shape[1])
    own = np.bincount(labels, weights=opinion[np.arange(len(labels)), labels], minlength=opinion.shape[1])
    # A class without rows has no threshold to reach.
    thresholds = np.divide(own, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    reached = np.where(opinion >= thresholds, opinion, -np.inf)
    flagged: npt.NDArray[np.bool_] = np.isfinite(reached).any(axis=1) & (reached.argmax(axis=1) != labels)
    return flagged


def apply_policy(
    teacher: FloatArray, opinion: FloatArray, flagged: npt.NDArray[np.bool_], settings: Curate
) -> tuple[FloatArray, FloatArray]:
    """The distributions (rows, labels) to learn from, and the weight (rows,) of each row.

    combine: every row takes what both say together (`second_opinion.combine`). flagged: only the likely errors do.
    downweight: the teacher's labels stay, and count as much as the second opinion believes in them. none: as they are.
    """
    weights = np.ones(len(teacher))
    if settings.policy == "none":
        return teacher, weights
    if settings.policy == "downweight":
        return teacher, opinion[np.arange(len(teacher)), teacher.argmax(axis=1)]
    pooled = combine(teacher, opinion, settings.teacher_weight)
    return (pooled if settings.policy == "combine" else np.where(flagged[:, None], pooled, teacher)), weights
