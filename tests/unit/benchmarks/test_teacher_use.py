import numpy as np
import pytest
from sklearn.metrics import f1_score

from benchmarks.teacher_use import NOBODY, f1, margins, over, uses


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_f1_of_resampled_rows_is_that_of_scikit_learn(random: np.random.Generator, average: str) -> None:
    # Label 5 is said and never true: no part of the mean.
    truth, answers = random.integers(0, 5, 60), random.integers(0, 6, 60)
    drawn = random.integers(0, 60, (4, 60))
    counts = np.stack([np.bincount(rows, minlength=60) for rows in drawn])
    expected = [
        f1_score(truth[rows], answers[rows], labels=np.unique(truth[rows]), average=average, zero_division=0)
        for rows in drawn
    ]
    np.testing.assert_allclose(f1(truth, answers, counts, average), expected)


def test_a_lead_is_paired(random: np.random.Generator) -> None:
    truth = random.integers(0, 3, 200)
    wrong = np.where(np.arange(200) < 20, (truth + 1) % 3, truth)
    rows = np.arange(200)
    assert over(truth, wrong, wrong, rows, "macro")[1] == (0.0, 0.0, 0.0)
    f1_right, (mean, low, high) = over(truth, truth, wrong, rows, "macro")
    assert f1_right == 1.0
    assert 0.05 < low < mean < high < 0.15


def test_only_doubtful_reviews_hear_the_teacher(random: np.random.Generator) -> None:
    opinion, teacher = random.dirichlet(np.ones(4), 100), random.dirichlet(np.ones(4), 100)
    found = uses(opinion, teacher, 0.2)
    everyone = next(iter(found.values()))(opinion, teacher)
    some = found["doubtful 25%, 0.2"](opinion, teacher)
    np.testing.assert_array_equal(found[NOBODY](opinion, teacher), opinion)
    doubtful = np.argsort(margins(opinion))[:25]
    sure = np.setdiff1d(np.arange(100), doubtful)
    np.testing.assert_array_equal(some[doubtful], everyone[doubtful])
    np.testing.assert_array_equal(some[sure], opinion[sure])
