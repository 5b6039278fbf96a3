"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599, sec. 4.2): how sure the student may be."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from stages.common.arrays import FloatArray

# A handful of rows that are all answered rightly would ask for no doubt at all.
SMALLEST, LARGEST = 0.2, 5.0


def fit_temperature(logits: FloatArray, distributions: FloatArray) -> float:
    """The temperature that brings held-out rows nearest to what they shall be answered, within 0.2…5.

    By cross-entropy. Where people labelled the rows, all of a distribution is on one label, and this is their negative
    log-likelihood. Where models did, they were in doubt: taken for certain, what they say makes a student too sure.

    Args:
        logits: (rows, labels). distributions: (rows, labels).
    """

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-(distributions * scaled).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(np.log(SMALLEST), np.log(LARGEST)), method="bounded")
    return float(np.exp(found.x))
