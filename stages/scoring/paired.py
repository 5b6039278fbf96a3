"""Two classifiers on the same checked rows: differences with paired intervals, and McNemar's test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from scipy.stats import binomtest

from stages.common.arrays import IntArray
from stages.scoring import metrics

MEASURES = ("macro_f1", "weighted_f1")


@dataclass(frozen=True)
class Difference:
    """A measure before and after, and the percentile interval of the difference over resampled rows."""

    before: float
    after: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """`now_right` rows were wrong before, `now_wrong` ones right; `p_value` is McNemar's, of these two counts."""

    rows: int
    now_right: int
    now_wrong: int
    p_value: float
    measures: Mapping[str, Difference]


def paired(
    actual: IntArray, before: IntArray, after: IntArray, labels: int, bootstrap: int, coverage: float, seed: int
) -> Paired:
    """Hold two classifiers' answers to the same rows against each other.

    Args:
        actual: (rows,) label indices, at least one row.
        before, after: (rows,) predicted label indices, `labels` for no answer.
        labels: number of labels.
        bootstrap, coverage, seed: resamples, and the share of them between the ends of an interval.
    """
    drawn = list(map(metrics.score, metrics.resample_together(actual, [before, after], labels, bootstrap, seed)))
    exact = [metrics.score(metrics.confusion_matrix(actual, predicted, labels)) for predicted in (before, after)]

    def difference(measure: str) -> Difference:
        of = attrgetter(measure)
        low, high = metrics.interval(of(drawn[1]) - of(drawn[0]), coverage)
        first, last = (float(of(scores)) for scores in exact)
        return Difference(first, last, last - first, low, high)

    now_right = int(np.sum((before != actual) & (after == actual)))
    now_wrong = int(np.sum((before == actual) & (after != actual)))
    measures = {measure: difference(measure) for measure in MEASURES}
    return Paired(len(actual), now_right, now_wrong, mcnemar(now_right, now_wrong), measures)


def mcnemar(now_right: int, now_wrong: int) -> float:
    """The two-sided p-value of McNemar's exact test: how often chance alone parts the changed rows as unevenly.

    McNemar 1947 (Psychometrika 12, 153-157); exact by the binomial distribution with 1/2, so that few rows do, too.
    """
    changed = now_right + now_wrong
    return float(binomtest(now_right, changed).pvalue) if changed else 1.0
