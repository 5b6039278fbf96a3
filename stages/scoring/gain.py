"""What each kind of rows is worth: students against those that learnt from fewer kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from stages.common.arrays import FloatArray
from stages.scoring import metrics
from stages.scoring.evaluation import Evaluation

# What `Gain.measure` is where it is not the F1 of a label.
MACRO_F1 = "macro F1"


@dataclass(frozen=True)
class Gain:
    """By how much `student` is better than `over` in a measure; `low` and `high` are the ends of its interval."""

    gold_set: str
    student: str
    over: str
    measure: str
    difference: float
    low: float
    high: float


def gains(evaluation: Evaluation, students: Sequence[str]) -> list[Gain]:
    """The gain of each of `students` in macro F1 over the first of them and over the one before it.

    And of the last one over the first, in the F1 of every label that occurs. Paired bootstrap: all students are scored
    on the same resampled rows.
    """
    return [gain for name, gold_set in evaluation.gold_sets() for gain in _gains(name, gold_set, students)]


def _gains(name: str, part: Evaluation, students: Sequence[str]) -> list[Gain]:
    predictions = [part.answers[student].predicted for student in students]
    resampled = metrics.resample_together(
        part.actual, predictions, len(part.label_names), part.settings.bootstrap, part.seed
    )
    drawn = dict(zip(students, map(metrics.score, resampled), strict=True))
    exact = {student: metrics.score(part.confusion(student)) for student in students}

    def gain(student: str, over: str, measure: str, of: Callable[[metrics.Scores], FloatArray]) -> Gain:
        low, high = metrics.interval(of(drawn[student]) - of(drawn[over]), part.settings.coverage)
        return Gain(name, student, over, measure, float(of(exact[student]) - of(exact[over])), low, high)

    def f1(label: int) -> Callable[[metrics.Scores], FloatArray]:
        return lambda scores: scores.f1[..., label]

    first, last = students[0], students[-1]
    pairs = dict.fromkeys([*((student, first) for student in students[1:]), *((b, a) for a, b in pairwise(students))])
    return [gain(student, over, MACRO_F1, attrgetter("macro_f1")) for student, over in pairs] + [
        gain(last, first, label, f1(number))
        for number, label in enumerate(part.label_names)
        if exact[first].support[number] > 0
    ]
