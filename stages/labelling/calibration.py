"""Remove the teacher's own taste for some labels from its distributions."""

from __future__ import annotations

import numpy as np

from stages.common.arrays import FloatArray


def contextual_prior(content_free: FloatArray) -> FloatArray:
    """Prior of shape (labels,): the mean distribution over content-free inputs (rows, labels).

    What a teacher answers to an input without content is its prior (Zhao et al. 2021, arXiv 2102.09690, sec. 5).
    """
    prior: FloatArray = content_free.mean(axis=0)
    return prior


def batch_prior(probabilities: FloatArray) -> FloatArray:
    """Prior of shape (labels,): the mean distribution over the batch (Zhou et al. 2024, arXiv 2309.17249, eq. 3)."""
    prior: FloatArray = probabilities.mean(axis=0)
    return prior


def calibrate(probabilities: FloatArray, prior: FloatArray, strength: float) -> FloatArray:
    """Divide distributions (rows, labels) by `prior ** strength` and normalise; strength 0 changes nothing.

    Full strength assumes that all labels are equally frequent, which imbalanced data are not: hence the exponent.
    """
    adjusted = probabilities / np.maximum(prior, 1e-9) ** strength
    scaled: FloatArray = adjusted / adjusted.sum(axis=1, keepdims=True)
    return scaled
