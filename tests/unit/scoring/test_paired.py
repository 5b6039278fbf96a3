from math import comb

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import f1_score

from stages.scoring.paired import mcnemar, paired


@pytest.mark.parametrize(("right", "wrong"), [(0, 0), (1, 0), (5, 5), (9, 2), (2, 9), (40, 21)])
def test_mcnemar_is_the_exact_binomial_test(right: int, wrong: int) -> None:
    changed, fewer = right + wrong, min(right, wrong)
    # Both tails of the fewer, as McNemar's exact test is written in textbooks.
    assert mcnemar(right, wrong) == pytest.approx(min(1.0, 2 * float(binom.cdf(fewer, changed, 0.5))))
    by_hand = 2 * sum(comb(changed, count) for count in range(fewer + 1)) / 2**changed
    assert mcnemar(right, wrong) == pytest.approx(min(1.0, by_hand))


def test_the_same_answers_differ_by_nothing() -> None:
    actual, predicted = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 1, 0, 3, 2])
    found = paired(actual, predicted, predicted, 3, 200, 0.95, 1)
    assert (found.rows, found.now_right, found.now_wrong, found.p_value) == (6, 0, 0, 1.0)
    for difference in found.measures.values():
        assert (difference.difference, difference.low, difference.high) == (0, 0, 0)


def test_measures_are_those_of_scikit_learn_and_the_interval_holds_the_difference() -> None:
    random = np.random.default_rng(0)
    actual = random.integers(3, size=300)
    before = np.where(random.random(300) < 0.6, actual, random.integers(3, size=300))
    after = np.where(random.random(300) < 0.8, actual, random.integers(3, size=300))
    found = paired(actual, before, after, 3, 1000, 0.95, 1)
    assert found.now_right == ((before != actual) & (after == actual)).sum()
    assert found.now_wrong == ((before == actual) & (after != actual)).sum()
    for measure, average in (("macro_f1", "macro"), ("weighted_f1", "weighted")):
        difference = found.measures[measure]
        assert difference.before == pytest.approx(f1_score(actual, before, average=average))
        assert difference.after == pytest.approx(f1_score(actual, after, average=average))
        assert difference.low < difference.difference < difference.high
        # The gain is real, and the paired interval sees it.
        assert difference.low > 0
