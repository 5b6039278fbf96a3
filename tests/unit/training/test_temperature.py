"""Temperature scaling."""

import numpy as np
import pytest

from stages.training.temperature import LARGEST, fit_temperature


@pytest.mark.parametrize("wanted", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(wanted: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 4)) * 2
    exponentials = np.exp(logits / wanted)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    assert fit_temperature(logits, labels) == pytest.approx(wanted, rel=0.05)


def test_labels_that_contradict_every_answer_ask_for_the_most_doubt() -> None:
    assert fit_temperature(np.eye(3)[[0, 1, 2]] * 9, np.array([1, 2, 0])) == pytest.approx(LARGEST, rel=0.01)
