"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599, sec. 4.2): how sure the student may be."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from stages.common.arrays import FloatArray, IntArray

# A handful of rows that are all answered rightly would ask for no doubt at all.
SMALLEST, LARGEST = 0.2, 5.0


def fit_temperature(logits: FloatArray, labels: IntArray) -> float:
    """The temperature that gives held-out rows the least negative log-likelihood, within 0.2…5.

    Args:
        logits: (rows, labels). labels: (rows,) label indices.
    """

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(loss, bounds=(np.log(SMALLEST), np.log(LARGEST)), method="bounded")
    return float(np.exp(found.x))
