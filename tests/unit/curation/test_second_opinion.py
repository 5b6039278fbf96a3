"""The second opinion, and what follows from it; figures computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from stages.curation.config import Curate
from stages.curation.policy import apply_policy, likely_errors
from stages.curation.second_opinion import SecondOpinion, combine
from stages.running.errors import ConfigError

TEACHER = np.array([[0.98, 0.01, 0.01], [0.2, 0.7, 0.1]])
OPINION = np.array([[0.2, 0.6, 0.2], [0.1, 0.8, 0.1]])
SETTINGS = Curate(policy="combine", teacher_weight=0.5, regularisation=1.0)


def test_it_learns_the_categories_in_their_order() -> None:
    names = ["обувь", "одежда", "посуда"]
    opinion = SecondOpinion.fit(np.eye(3), ["посуда", "обувь", "одежда"], names, 10.0)
    distributions = opinion.distributions(np.eye(3))
    assert distributions.argmax(axis=1).tolist() == [2, 0, 1]
    assert distributions.sum(axis=1) == pytest.approx(1)
    assert opinion.distributions(np.empty((0, 3))).shape == (0, 3)


def test_both_are_multiplied_and_the_teacher_is_tempered() -> None:
    # Row 1: 0.2 sqrt(0.98), 0.6 sqrt(0.01), 0.2 sqrt(0.01).
    expected = np.array([0.2 * 0.98**0.5, 0.06, 0.02])
    assert combine(TEACHER, OPINION, 0.5)[0] == pytest.approx(expected / expected.sum())
    assert combine(TEACHER, OPINION, 0.0) == pytest.approx(OPINION)
    # A class to which one gives nothing stays possible, and nothing overflows.
    assert np.isfinite(combine(np.eye(3)[:2], np.eye(3)[1:], 1.0)).all()


def test_likely_errors_by_confident_learning() -> None:
    opinion = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.4, 0.6], [0.8, 0.2], [0.55, 0.45]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    # Thresholds: 0.5 of class 0 (0.9, 0.5, 0.1), 5/12 of class 1 (0.6, 0.2, 0.45).
    assert likely_errors(labels, opinion).tolist() == [False, False, True, False, True, True]
    # A class that no row has cannot be what a row should have been.
    assert not likely_errors(np.zeros(6, dtype=int), opinion).any()


@pytest.mark.parametrize(
    ("policy", "expected", "weights"),
    [
        ("none", TEACHER, [1, 1]),
        ("combine", combine(TEACHER, OPINION, 0.5), [1, 1]),
        ("flagged", np.stack([combine(TEACHER, OPINION, 0.5)[0], TEACHER[1]]), [1, 1]),
        ("downweight", TEACHER, [0.2, 0.8]),
    ],
)
def test_policies(policy: str, expected: np.ndarray, weights: list[float]) -> None:
    flagged = np.array([True, False])
    distributions, given = apply_policy(TEACHER, OPINION, flagged, replace(SETTINGS, policy=policy))
    assert distributions == pytest.approx(expected)
    assert given.tolist() == weights


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigError, match="'vote' is not an option; choose one of combine"):
        replace(SETTINGS, policy="vote")
