"""Scores, calibration error and bootstrap against hand-computed and scikit-learn's values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from stages.scoring.metrics import (
    calibration_error_by_chance,
    confusion_matrix,
    expected_calibration_error,
    interval,
    resample,
    resample_together,
    score,
    subsets,
)


def test_scores_by_hand() -> None:
    # Label 2 never occurs, label 0 is answered once in two rows, one row has no answer (3).
    scores = score(confusion_matrix(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 3]), labels=3))
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.f1[:2].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert np.isnan(scores.f1[2])
    assert scores.macro_f1 == pytest.approx(2 / 3)
    assert scores.recall[:2].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert scores.support.tolist() == [2, 3, 0]


def test_scores_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    actual, predicted = rng.integers(0, 4, 200), rng.integers(0, 5, 200)
    scores = score(confusion_matrix(actual, predicted, labels=5))
    present = [0, 1, 2, 3]
    precision, recall, f1, _ = precision_recall_fscore_support(actual, predicted, labels=present)
    assert scores.precision[present] == pytest.approx(precision)
    assert scores.recall[present] == pytest.approx(recall)
    assert scores.macro_f1 == pytest.approx(f1.mean())
    assert scores.weighted_f1 == pytest.approx(f1_score(actual, predicted, average="weighted"))


def test_calibration_error_by_hand() -> None:
    apart = np.array([[0.95, 0.05], [0.85, 0.15], [0.55, 0.45], [np.nan, np.nan]])
    assert expected_calibration_error(apart, np.array([0, 1, 0, 0])) == pytest.approx((0.05 + 0.85 + 0.45) / 3)
    together = np.array([[0.96, 0.04], [0.96, 0.04]])
    assert expected_calibration_error(together, np.array([0, 1])) == pytest.approx(0.46)


def test_bootstrap_interval_has_the_binomial_width() -> None:
    confusion = confusion_matrix(np.repeat([0, 1], 200), np.tile([0, 0, 1, 1, 1], 80), labels=2)
    accuracy = float(score(confusion).accuracy)
    low, high = interval(score(resample(confusion, 4000, seed=0)).accuracy, coverage=0.95)
    half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / 400)
    assert (low, high) == pytest.approx((accuracy - half, accuracy + half), abs=0.006)
    assert (low, high) == interval(score(resample(confusion, 4000, seed=0)).accuracy, coverage=0.95)


def test_paired_bootstrap_cancels_what_both_share() -> None:
    rng = np.random.default_rng(2)
    actual, first = rng.integers(0, 3, 300), rng.integers(0, 3, 300)
    second = first.copy()
    second[:10] = actual[:10]
    same = resample_together(actual, [first, first], 3, 200, seed=0)
    assert (same[0] == same[1]).all()
    better, worse = (score(drawn).accuracy for drawn in resample_together(actual, [second, first], 3, 2000, seed=0))
    exact = float((second == actual).mean() - (first == actual).mean())
    assert (better - worse).mean() == pytest.approx(exact, abs=0.002)
    unpaired = np.hypot(better.std(), worse.std())
    assert (better - worse).std() < unpaired / 2


def test_resamples_keep_the_number_of_rows() -> None:
    actual, predicted = np.array([0, 1, 2, 2]), np.array([0, 3, 2, 1])
    drawn = resample(confusion_matrix(actual, predicted, 3), 50, seed=0)
    assert drawn.shape == (50, 3, 4)
    assert (drawn.sum(axis=(1, 2)) == 4).all()


def test_subsets_without_rows_are_left_out() -> None:
    marked = pd.DataFrame({"flag": ["clear", "ambiguous", "clear"], "stratum": ["random", "random", "enriched"]})
    assert {name: mask.sum() for name, mask in subsets(marked).items()} == {
        "all": 3,
        "clear": 2,
        "random": 2,
        "random_clear": 1,
    }
    assert list(subsets(pd.DataFrame({"flag": [""], "stratum": [""]}))) == ["all"]


def test_chance_alone_makes_a_calibration_error() -> None:
    certain = np.tile([1.0, 0.0], (40, 1))
    assert calibration_error_by_chance(certain, seed=0) == 0
    # One row of confidence 0.8 is off by 0.2 four times out of five, else by 0.8.
    alone = calibration_error_by_chance(np.array([[0.8, 0.2]]), seed=0, resamples=20000)
    assert alone == pytest.approx(0.8 * 0.2 + 0.2 * 0.8, abs=0.01)
    # It shrinks with the square root of the rows.
    few, many = (calibration_error_by_chance(np.tile([0.8, 0.2], (rows, 1)), seed=0) for rows in (100, 1600))
    assert few / many == pytest.approx(4, rel=0.2)
    assert np.isnan(calibration_error_by_chance(np.full((3, 2), np.nan), seed=0))
