"""How much the labels of reviews are in doubt, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.common.arrays import BoolArray, FloatArray, IntArray

# Reasons that are not the name of somebody who says another category.
LIKELY_ERROR = "likely error"
LOW_CONFIDENCE = "low confidence"


@dataclass(frozen=True)
class Counts:
    """`labels`: reviews with a label that no person gave; `doubtful`: those with a reason to doubt it.

    `read`: those that the student answered; `shown`: those of them with a reason.
    """

    labels: int
    doubtful: int
    read: int
    shown: int


def doubt(labels: IntArray, opinions: Sequence[FloatArray], says: Sequence[float]) -> FloatArray:
    """How far the opinions are from the label: 0 (all are sure of it) … 1 (all are sure of the same other one).

    The normalised margin by which confident learning ranks labels (Northcutt et al. 2021, arXiv 1911.00068, sec. 3.2):
    the label's probability less that of the likeliest other, here turned round and brought to 0…1. Above 0.5 another
    label is likelier. The probabilities are the mean of all opinions, a linear pool (Genest & Zidek 1986, sec. 2).

    Args:
        labels: (rows,) label indices.
        opinions: (rows, labels) distributions of each who has one.
        says: the weight of each of them in the mean.
    """
    pooled = np.average(np.stack(opinions), axis=0, weights=says)
    own = np.zeros(pooled.shape, dtype=np.bool_)
    own[np.arange(len(labels)), labels] = True
    others = np.where(own, 0.0, pooled).max(axis=1, initial=0.0)
    distance: FloatArray = (1 - (pooled[own] - others)) / 2
    return distance


def reasons(
    labels: IntArray, opinions: Mapping[str, FloatArray], likely_error: BoolArray, low_confidence: BoolArray
) -> pd.Series:
    """Of each row a list of what there is to doubt its label: who says another one, and the two constants above.

    Args:
        labels: (rows,) label indices.
        opinions: by who has it, distributions (rows, labels).
        likely_error: (rows,) whether confident learning flags the teacher's label (`curation.policy.likely_errors`).
        low_confidence: (rows,) whether the label's own confidence is low.
    """
    masks = {who: opinion.argmax(axis=1) != labels for who, opinion in opinions.items()}
    masks |= {LIKELY_ERROR: likely_error, LOW_CONFIDENCE: low_confidence}
    rows = zip(*masks.values(), strict=True)
    return pd.Series([[name for name, holds in zip(masks, row, strict=True) if holds] for row in rows], dtype=object)
