"""Which rows are picked first, on arrays small enough to know the answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from stages.annotating.config import STRATEGIES
from stages.annotating.strategies import divergence, gradients, margins, pick
from stages.common.arrays import FloatArray
from stages.running.errors import ConfigError

LABELS = 4


def _distributions(rows: int, seed: int) -> FloatArray:
    return np.random.default_rng(seed).dirichlet(np.full(LABELS, 0.5), size=rows)


def _members(rows: int) -> dict[str, FloatArray]:
    return {name: _distributions(rows, seed) for seed, name in enumerate(("teacher", "second_opinion", "student"))}


def _clusters(count: int, each: int) -> FloatArray:
    """`count` directions, each with `each` rows close to it."""
    random = np.random.default_rng(5)
    centres = np.eye(count, 12).repeat(each, axis=0)
    return centres + 0.001 * random.standard_normal(centres.shape)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("size", [0, 1, 7, 40, 60])
def test_as_many_as_asked_for_each_once_and_the_same_again(strategy: str, size: int):
    members, vectors = _members(40), np.random.default_rng(3).standard_normal((40, 6))
    picked = pick(strategy, size, probabilities=members, vectors=vectors, seed=1)
    assert len(picked) == min(size, 40)
    assert len(set(picked.tolist())) == len(picked)
    assert set(picked.tolist()) <= set(range(40))
    again = pick(strategy, size, probabilities=members, vectors=vectors, seed=1)
    assert picked.tolist() == again.tolist()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_is_picked_of_nothing(strategy: str):
    nothing = {name: np.empty((0, LABELS)) for name in _members(1)}
    assert pick(strategy, 5, probabilities=nothing, vectors=np.empty((0, 6)), seed=1).tolist() == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rows_that_are_all_alike_are_picked_all_the_same(strategy: str):
    alike = {name: np.full((9, LABELS), 1 / LABELS) for name in _members(1)}
    picked = pick(strategy, 9, probabilities=alike, vectors=np.ones((9, 6)), seed=1)
    assert sorted(picked.tolist()) == list(range(9))
    other = pick(strategy, 9, probabilities=alike, vectors=np.ones((9, 6)), seed=2)
    assert picked.tolist() != other.tolist(), "among equals the seed decides, not the order of the file"


def test_a_shorter_batch_is_the_start_of_a_longer_one():
    members, vectors = _members(40), np.random.default_rng(3).standard_normal((40, 6))
    for strategy in STRATEGIES:
        longer = pick(strategy, 30, probabilities=members, vectors=vectors, seed=1)
        shorter = pick(strategy, 10, probabilities=members, vectors=vectors, seed=1)
        assert longer[:10].tolist() == shorter.tolist(), strategy


def test_uncertainty_takes_the_smallest_margins_in_order():
    student = np.array([[0.9, 0.1, 0], [0.4, 0.35, 0.25], [0.5, 0.5, 0], [0.6, 0.2, 0.2]])
    assert margins(student) == pytest.approx([0.8, 0.05, 0.0, 0.4])
    members = dict.fromkeys(("teacher", "second_opinion", "student"), student)
    picked = pick("uncertainty", 3, probabilities=members, vectors=np.eye(4), seed=9)
    assert picked.tolist() == [2, 1, 3]


def test_disagreement_takes_the_torn_and_not_the_unsure():
    sure, other, unsure = [1.0, 0, 0], [0, 1.0, 0], [1 / 3] * 3
    members = {
        "teacher": np.array([sure, sure, unsure, sure]),
        "second_opinion": np.array([other, sure, unsure, unsure]),
        "student": np.array([[0, 0, 1.0], sure, unsure, sure]),
    }
    assert divergence(members)[:3] == pytest.approx([np.log(3), 0, 0], abs=1e-12)
    assert pick("disagreement", 2, probabilities=members, vectors=np.eye(4), seed=9).tolist() == [0, 3]


def test_divergence_of_two_is_that_of_jensen_and_shannon():
    first, second = _distributions(1, 0)[0], _distributions(1, 1)[0]
    # The third says the mean of both, which leaves the mean as it is and adds a divergence of none.
    members = {"teacher": first, "second_opinion": second, "student": (first + second) / 2}
    found = divergence({name: member[None] for name, member in members.items()})
    assert found[0] * 3 / 2 == pytest.approx(jensenshannon(first, second) ** 2)


def test_diversity_covers_the_clusters_whatever_their_size():
    vectors = np.concatenate([_clusters(6, 5), _clusters(1, 200)])
    cluster = np.concatenate([np.arange(6).repeat(5), np.zeros(200, dtype=int)])
    for seed in range(20):
        picked = pick("diversity", 6, probabilities=_members(230), vectors=vectors, seed=seed)
        assert set(cluster[picked]) == set(range(6)), seed


def test_diversity_looks_at_directions_alone():
    vectors = _clusters(4, 5)
    scaled = vectors * np.linspace(0.1, 50, 20)[:, None]
    picked = pick("diversity", 8, probabilities=_members(20), vectors=vectors, seed=3)
    assert picked.tolist() == pick("diversity", 8, probabilities=_members(20), vectors=scaled, seed=3).tolist()


def test_mixed_takes_what_would_change_the_student_from_every_cluster():
    """Of each cluster one row is doubtful: unsure, or sure against the two others. These are taken."""
    sure, against, unsure = [0.998, 0.001, 0.001], [0.001, 0.998, 0.001], [0.34, 0.33, 0.33]
    student, others = np.array([sure] * 24), np.array([sure] * 24)
    doubtful = {0: unsure, 6: against, 12: unsure, 18: against}
    for row, says in doubtful.items():
        student[row] = says
    members = {"teacher": others, "second_opinion": others, "student": student}
    for seed in range(20):
        picked = pick("mixed", 4, probabilities=members, vectors=_clusters(4, 6), seed=seed)
        assert set(picked.tolist()) == set(doubtful), seed


def test_the_distance_that_mixed_draws_by_is_that_of_the_gradients_of_the_last_layer():
    """The gradient of a linear layer's weights is the outer product of the error and the input."""
    members, vectors = _members(12), np.random.default_rng(4).standard_normal((12, 5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    made = np.einsum("il,id->ild", gradients(members), unit).reshape(12, -1)
    random = np.random.default_rng(7)
    random.permutation(12)
    expected: list[int] = []
    nearest = (made**2).sum(axis=1)
    for _ in range(12):
        weights = np.where(np.isin(np.arange(12), expected), 0, nearest)
        expected.append(int(random.choice(12, p=weights / weights.sum())))
        nearest = np.minimum(nearest, ((made - made[expected[-1]]) ** 2).sum(axis=1))
    picked = pick("mixed", 12, probabilities=members, vectors=vectors, seed=7)
    assert picked.tolist() == expected


def test_an_unknown_strategy_is_named():
    with pytest.raises(ConfigError, match=r"annotate\.strategy='best' is not an option; choose one of random, unc"):
        pick("best", 1, probabilities=_members(3), vectors=np.eye(3), seed=0)
