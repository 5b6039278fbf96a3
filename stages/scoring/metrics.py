"""Classification scores from confusion counts, calibration error, and bootstrap intervals.

Labels are indices; a prediction equal to the number of labels means "no answer" and counts as wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.common.arrays import FloatArray

IntArray = npt.NDArray[np.integer]
BoolArray = npt.NDArray[np.bool_]
# Of confidence, wherever it is held against accuracy.
BINS = 15


@dataclass(frozen=True)
class Scores:
    """Scores of one or many confusion counts: shape (...) for the first three, (..., labels) for the rest.

    `f1` is nan for a label that is neither present nor predicted. `macro_f1` averages over the labels present; so a
    bootstrap sample that missed a rare label averages over the others.
    """

    accuracy: FloatArray
    weighted_f1: FloatArray
    macro_f1: FloatArray
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    support: FloatArray


def confusion_matrix(actual: IntArray, predicted: IntArray, labels: int) -> IntArray:
    """Counts of shape (labels, labels + 1): actual by predicted, the last column for rows without an answer."""
    cells = np.bincount(actual * (labels + 1) + predicted, minlength=labels * (labels + 1))
    return cells.reshape(labels, labels + 1)


def score(confusion: IntArray) -> Scores:
    """Scores of confusion counts of shape (..., labels, labels + 1)."""
    support = confusion.sum(axis=-1).astype(np.float64)
    predicted = confusion[..., :-1].sum(axis=-2).astype(np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    f1 = _ratio(2 * hits, support + predicted)
    f1_where_present = np.where(support > 0, f1, 0.0)
    return Scores(
        accuracy=_ratio(hits.sum(axis=-1), support.sum(axis=-1)),
        weighted_f1=_ratio((f1_where_present * support).sum(axis=-1), support.sum(axis=-1)),
        macro_f1=_ratio(f1_where_present.sum(axis=-1), (support > 0).sum(axis=-1)),
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=f1,
        support=support,
    )


def confidence_bins(confidence: FloatArray, bins: int) -> IntArray:
    """Index 0…bins - 1 of each confidence's equal-width bin, open below and closed above; shape (rows,)."""
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def expected_calibration_error(probabilities: FloatArray, actual: IntArray, bins: int = BINS) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, 0…1 (Guo et al. 2017, arXiv 1706.04599, eq. 3).

    Args:
        probabilities: (rows, labels); rows of nan (no answer) are left out.
        actual: (rows,) label indices.
        bins: number of confidence bins.
    """
    answered = ~np.isnan(probabilities).any(axis=1)
    if not answered.any():
        return float("nan")
    confidence = probabilities[answered].max(axis=1)
    correct = probabilities[answered].argmax(axis=1) == actual[answered]
    # Bins are open below and closed above, as in the paper.
    gaps = np.bincount(confidence_bins(confidence, bins), weights=confidence - correct, minlength=bins)
    return float(np.abs(gaps).sum() / answered.sum())


def calibration_error_by_chance(probabilities: FloatArray, seed: int, resamples: int = 2000, bins: int = BINS) -> float:
    """The mean `expected_calibration_error` of a classifier whose confidence is exactly right, on as many rows, 0…1.

    On few rows accuracy differs from confidence in every bin by chance alone. Outcomes are drawn from the confidences
    themselves: consistency resampling (Bröcker & Smith 2007, Weather and Forecasting 22, sec. 3).

    Args:
        probabilities: (rows, labels); rows of nan (no answer) are left out.
        seed: seed of the draws.
        resamples: number of draws.
        bins: number of confidence bins.
    """
    answered = ~np.isnan(probabilities).any(axis=1)
    if not answered.any():
        return float("nan")
    confidence = probabilities[answered].max(axis=1)
    members = np.eye(bins)[confidence_bins(confidence, bins)]
    random = np.random.default_rng(seed)
    gaps = [np.abs((confidence - (random.random(len(confidence)) < confidence)) @ members) for _ in range(resamples)]
    return float(np.sum(gaps) / resamples / len(confidence))


def resample(confusion: IntArray, resamples: int, seed: int) -> IntArray:
    """Bootstrap confusion counts, shape (resamples, labels, labels + 1).

    Drawing rows with replacement is drawing cell counts from a multinomial, whatever the number of rows.
    """
    rows = int(confusion.sum())
    drawn = np.random.default_rng(seed).multinomial(rows, confusion.ravel() / rows, size=resamples)
    return drawn.reshape(resamples, *confusion.shape)


def resample_together(
    actual: IntArray, predictions: Sequence[IntArray], labels: int, resamples: int, seed: int
) -> list[IntArray]:
    """Bootstrap confusion counts of several classifiers over the same resampled rows; each as in `resample`.

    Args:
        actual: (rows,) label indices.
        predictions: (rows,) predictions of each classifier.
        labels: number of labels.
        resamples: number of bootstrap samples.
        seed: seed of the resampling.
    """
    joint, counts = np.unique(np.stack([actual, *predictions]), axis=1, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(actual), counts / len(actual), size=resamples)

    def marginal(predicted: IntArray) -> IntArray:
        membership = np.zeros((joint.shape[1], labels * (labels + 1)), dtype=np.int64)
        membership[np.arange(joint.shape[1]), joint[0] * (labels + 1) + predicted] = 1
        return (drawn @ membership).reshape(resamples, labels, labels + 1)

    return [marginal(predicted) for predicted in joint[1:]]


def interval(values: FloatArray, coverage: float) -> tuple[float, float]:
    """Percentile interval of bootstrap values of shape (resamples,); nan values are left out."""
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def subsets(gold: pd.DataFrame) -> dict[str, BoolArray]:
    """Row masks of the parts a gold set is scored on: `all`, and those of the others that have rows.

    `clear` rows have one right answer for every reader; `random` rows were drawn without looking at the text.
    """
    clear = (gold["flag"] == "clear").to_numpy()
    random = (gold["stratum"] == "random").to_numpy()
    masks = {"all": np.ones(len(gold), dtype=bool), "clear": clear, "random": random, "random_clear": random & clear}
    return {name: mask for name, mask in masks.items() if mask.any()}


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient, nan where the denominator is 0."""
    quotient = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
