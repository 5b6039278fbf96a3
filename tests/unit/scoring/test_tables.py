import numpy as np
import pytest

from stages.scoring.metrics import expected_calibration_error
from stages.scoring.tables import coverage, reliability


def test_the_gaps_of_the_table_are_the_calibration_error() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.4, 0.4, 0.4], 500)
    actual = rng.integers(0, 3, 500)
    table = reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == actual)
    assert table["rows"].sum() == 500
    gaps = (table["rows"] * (table["confidence"] - table["accuracy"]).abs()).sum() / 500
    assert gaps == pytest.approx(expected_calibration_error(probabilities, actual), abs=1e-4)


def test_rows_without_an_answer_and_empty_bins_are_left_out() -> None:
    table = reliability(np.array([0.9, 0.95, np.nan, 0.2]), np.array([True, False, False, True]), bins=2)
    assert table.to_dict("list") == {"confidence": [0.2, 0.925], "accuracy": [1.0, 0.5], "rows": [1, 2]}
    assert reliability(np.array([]), np.array([], dtype=bool)).empty


def test_accuracy_by_coverage() -> None:
    confidence, right = np.array([0.5, 0.9, np.nan, 0.7]), np.array([True, True, False, False])
    table = coverage(confidence, right, points=4)
    assert table["coverage"].to_list() == [0.25, 0.5, 0.75, 1.0]
    assert table["threshold"].to_list()[:3] == [0.9, 0.7, 0.5]
    # Right: 1 of 1, 1 of 2, 2 of 3, and one that nobody answered.
    assert table["accuracy"].to_list() == [1.0, 0.5, 0.6667, 0.5]
