"""Scores of everyone on every part of the checked reviews, as records that become tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.scoring import metrics
from stages.scoring.agreement import AGREEMENT
from stages.scoring.evaluation import Evaluation

NAN = float("nan")


@dataclass(frozen=True)
class Score:
    """One classifier on one part of a gold set; shares 0…1, `_low` and `_high` the ends of bootstrap intervals.

    Where nobody checked any reviews there is but `accuracy`, which is agreement with the teacher; the rest is nan.
    """

    gold_set: str
    who: str
    subset: str
    rows: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    weighted_f1: float = NAN
    weighted_f1_low: float = NAN
    weighted_f1_high: float = NAN
    macro_f1: float = NAN
    macro_f1_low: float = NAN
    macro_f1_high: float = NAN
    ece: float = NAN
    ece_by_chance: float = NAN


@dataclass(frozen=True)
class ClassScore:
    """One classifier on one label of a gold set; `support` are the rows of the label, the rest shares 0…1 or nan."""

    gold_set: str
    who: str
    label: str
    precision: float
    recall: float
    f1: float
    support: int


def scores(evaluation: Evaluation) -> list[Score]:
    """Everyone's score on each gold set and each part of it (`metrics.subsets`)."""
    return [
        _score(part.asked(who), name, who, subset)
        for name, gold_set in evaluation.gold_sets()
        for subset, part in _parts(name, gold_set)
        for who in part.answers
        if part.answers[who].asked.any()
    ]


def class_scores(evaluation: Evaluation) -> list[ClassScore]:
    """Everyone's score on each label that occurs or is predicted, over all rows of each gold set."""
    found = []
    for name, gold_set in evaluation.gold_sets():
        for who in gold_set.answers:
            by_label = metrics.score(gold_set.asked(who).confusion(who))
            columns = (by_label.precision, by_label.recall, by_label.f1, by_label.support)
            for label, precision, recall, f1, support in zip(gold_set.label_names, *columns, strict=True):
                if not np.isnan(f1):
                    found.append(ClassScore(name, who, label, float(precision), float(recall), float(f1), int(support)))
    return found


def _parts(name: str, gold_set: Evaluation) -> list[tuple[str, Evaluation]]:
    if name == AGREEMENT:
        return [("all", gold_set)]
    return [(subset, gold_set.part(mask)) for subset, mask in metrics.subsets(gold_set.rows).items()]


def _score(part: Evaluation, gold_set: str, who: str, subset: str) -> Score:
    confusion = part.confusion(who)
    exact = metrics.score(confusion)
    drawn = metrics.score(metrics.resample(confusion, part.settings.bootstrap, part.seed))
    accuracy, weighted, macro = (
        (float(value), *metrics.interval(values, part.settings.coverage))
        for value, values in (
            (exact.accuracy, drawn.accuracy),
            (exact.weighted_f1, drawn.weighted_f1),
            (exact.macro_f1, drawn.macro_f1),
        )
    )
    if gold_set == AGREEMENT:
        return Score(gold_set, who, subset, len(part.rows), *accuracy)
    probabilities = part.answers[who].probabilities
    error = metrics.expected_calibration_error(probabilities, part.actual)
    by_chance = metrics.calibration_error_by_chance(probabilities, part.seed)
    return Score(gold_set, who, subset, len(part.rows), *accuracy, *weighted, *macro, error, by_chance)
