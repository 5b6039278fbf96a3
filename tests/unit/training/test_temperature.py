"""Temperature scaling."""

import numpy as np
import pytest

from stages.training.temperature import LARGEST, SMALLEST, fit_temperature


@pytest.mark.parametrize("wanted", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(wanted: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 4)) * 2
    exponentials = np.exp(logits / wanted)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    chosen = (probabilities.cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    assert fit_temperature(logits, np.eye(4)[chosen]) == pytest.approx(wanted, rel=0.05)
    # The distributions themselves tell it without the luck of a draw.
    assert fit_temperature(logits, probabilities) == pytest.approx(wanted, rel=1e-3)


def test_labels_that_contradict_every_answer_ask_for_the_most_doubt() -> None:
    assert fit_temperature(np.eye(3) * 9, np.eye(3)[[1, 2, 0]]) == pytest.approx(LARGEST, rel=0.01)


def test_a_student_that_is_always_right_is_no_surer_than_the_labels_it_is_held_to() -> None:
    logits = np.eye(3)[[0, 1, 2, 0]] * 2
    assert fit_temperature(logits, np.eye(3)[[0, 1, 2, 0]]) == pytest.approx(SMALLEST, rel=0.01)
    doubtful = np.full((4, 3), 0.15) + np.eye(3)[[0, 1, 2, 0]] * 0.55
    # At which 2 / T is the logarithm of 0.7 / 0.15.
    assert fit_temperature(logits, doubtful) == pytest.approx(2 / np.log(0.7 / 0.15), rel=1e-3)
