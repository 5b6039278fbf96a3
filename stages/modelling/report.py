"""Assemble what stage `evaluate` writes: scores, gains, predictions and a report to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd

from stages.common.config import Evaluate
from stages.common.schema import FINAL, PROVENANCES, FloatArray, probability_matrix
from stages.modelling import metrics
from stages.modelling.gold import AGREEMENT
from stages.modelling.metrics import IntArray

# The student that the others are held against.
BASELINE = PROVENANCES[0]


@dataclass(frozen=True)
class Answers:
    """One classifier's answers: label indices (rows,), `len(labels)` for none; distributions (rows, labels) or nan."""

    predicted: IntArray
    probabilities: FloatArray

    @classmethod
    def of(cls, probabilities: FloatArray) -> Answers:
        """Answers that follow the most probable label."""
        return cls(probabilities.argmax(axis=1), probabilities)

    def part(self, rows: metrics.BoolArray) -> Answers:
        """The answers to the rows of a mask."""
        return Answers(self.predicted[rows], self.probabilities[rows])


@dataclass(frozen=True)
class Evaluation:
    """Truth and everyone's answers over the same rows; `rows` has gold_set, id, text, label, stratum, flag."""

    rows: pd.DataFrame
    answers: Mapping[str, Answers]
    label_names: Sequence[str]
    settings: Evaluate
    seed: int

    def gold_sets(self) -> Iterator[tuple[str, Evaluation]]:
        """Each gold set by itself, in the order of the rows."""
        for name in self.rows["gold_set"].unique():
            yield name, self.part((self.rows["gold_set"] == name).to_numpy())

    def part(self, rows: metrics.BoolArray) -> Evaluation:
        """The same over the rows of a mask."""
        answers = {who: given.part(rows) for who, given in self.answers.items()}
        return Evaluation(self.rows[rows], answers, self.label_names, self.settings, self.seed)

    @property
    def actual(self) -> IntArray:
        """True label indices, shape (rows,)."""
        return label_indices(self.rows["label"], self.label_names)

    def confusion(self, who: str) -> IntArray:
        """Confusion counts, shape (labels, labels + 1)."""
        return metrics.confusion_matrix(self.actual, self.answers[who].predicted, len(self.label_names))


def label_indices(labels: Sequence[str] | pd.Series, label_names: Sequence[str]) -> IntArray:
    """Index of each label, shape (rows,); `len(label_names)` for whatever is not a label."""
    index = {name: position for position, name in enumerate(label_names)}
    return np.array([index.get(label, len(index)) for label in labels], dtype=np.int64)


def stored_answers(rows: pd.DataFrame, labelled: pd.DataFrame, label_names: Sequence[str]) -> Answers:
    """The answers to gold `rows` of who labels, out of a table (gold_set, id, label, probabilities)."""
    labelled = labelled.reset_index(drop=True)
    found = rows[["gold_set", "id"]].merge(labelled.reset_index(), on=["gold_set", "id"], how="left")["index"]
    answered = found.notna().to_numpy()
    chosen = labelled.iloc[found[answered].astype(int)]
    predicted = np.full(len(rows), len(label_names), dtype=np.int64)
    probabilities = np.full((len(rows), len(label_names)), np.nan)
    predicted[answered] = label_indices(chosen["label"], label_names)
    if answered.any():
        probabilities[answered] = probability_matrix(chosen)
    return Answers(predicted, probabilities)


def headline(evaluation: Evaluation) -> dict[str, Any]:
    """`<gold_set>.<who>.<subset>`: rows, accuracy, weighted and macro F1 with intervals, ECE, ECE by chance."""
    return {
        name: {
            who: {
                subset: _headline(gold_set.part(mask), who) for subset, mask in metrics.subsets(gold_set.rows).items()
            }
            for who in gold_set.answers
        }
        for name, gold_set in evaluation.gold_sets()
    }


def per_class(evaluation: Evaluation) -> dict[str, Any]:
    """`<gold_set>.<who>.<label>`: precision, recall, F1 and support over all rows, for labels that occur."""
    return {
        name: {who: _per_class(gold_set, who) for who in gold_set.answers} for name, gold_set in evaluation.gold_sets()
    }


def agreement(evaluation: Evaluation) -> dict[str, Any]:
    """`<AGREEMENT>.<who>`: share of rows on which `who` says what the teacher said, with its interval."""
    shares = {}
    for who in evaluation.answers:
        confusion = evaluation.confusion(who)
        drawn = metrics.resample(confusion, evaluation.settings.bootstrap, evaluation.seed)
        low, high = metrics.interval(metrics.score(drawn).accuracy, evaluation.settings.coverage)
        share = {"agreement": float(metrics.score(confusion).accuracy), "agreement_low": low, "agreement_high": high}
        shares[who] = {"rows": len(evaluation.rows), **rounded(share)}
    return {AGREEMENT: shares}


def synthetic_gain(evaluation: Evaluation) -> dict[str, Any]:
    """`<gold_set>`: macro F1 of each student, and what the rows that it saw more than another one change.

    Paired bootstrap: all students are scored on the same resampled rows.
    """
    return {name: _gain(gold_set) for name, gold_set in evaluation.gold_sets()}


def predictions(evaluation: Evaluation, who: str) -> pd.DataFrame:
    """One line a row: gold_set, id, text, actual, predicted, confidence, teacher."""
    names = np.array([*evaluation.label_names, ""])
    given, teacher = evaluation.answers[who], evaluation.answers.get("teacher")
    return pd.DataFrame(
        {
            "gold_set": evaluation.rows["gold_set"].to_numpy(),
            "id": evaluation.rows["id"].to_numpy(),
            "text": evaluation.rows["text"].to_numpy(),
            "actual": evaluation.rows["label"].to_numpy(),
            "predicted": names[given.predicted],
            "confidence": given.probabilities.max(axis=1).round(4),
            "teacher": names[teacher.predicted] if teacher else "",
        }
    )


def errors(predicted: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The wrong ones of `predictions`, the most confident first, with how often the same confusion occurs.

    `rows` are the evaluation's, of which stratum and flag are added. Columns: gold_set, stratum, flag, actual,
    predicted, times, confidence, teacher, text.
    """
    table = predicted.assign(stratum=rows["stratum"].to_numpy(), flag=rows["flag"].to_numpy())
    wrong = table[table["actual"] != table["predicted"]]
    times = wrong.groupby(["gold_set", "actual", "predicted"])["id"].transform("size")
    columns = ["gold_set", "stratum", "flag", "actual", "predicted", "times", "confidence", "teacher", "text"]
    return wrong.assign(times=times).sort_values("confidence", ascending=False)[columns]


def as_text(scores: Mapping[str, Any], classes: Mapping[str, Any]) -> str:
    """A report for people out of `headline` and `per_class`; or out of `agreement` and nothing."""
    blocks = []
    for gold_set, by_who in scores.items():
        if gold_set == AGREEMENT:
            blocks.append(f"Agreement with the teacher (no human-checked reviews)\n\n{_table(by_who)}\n")
            continue
        for who, parts in by_who.items():
            blocks.append(f"{gold_set} · {who}\n\n{_table(classes[gold_set][who])}\n\n{_table(parts)}\n")
    return "\n\n".join(blocks)


def _table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    return pd.DataFrame(list(rows.values()), index=list(rows)).to_string(na_rep="–")


def rounded(values: Mapping[str, float]) -> dict[str, float | None]:
    """Values to 4 digits; nan becomes None, which JSON can hold."""
    return {key: None if np.isnan(value) else round(value, 4) for key, value in values.items()}


def _headline(part: Evaluation, who: str) -> dict[str, Any]:
    confusion = part.confusion(who)
    scores = metrics.score(confusion)
    drawn = metrics.score(metrics.resample(confusion, part.settings.bootstrap, part.seed))
    weighted = metrics.interval(drawn.weighted_f1, part.settings.coverage)
    macro = metrics.interval(drawn.macro_f1, part.settings.coverage)
    values = rounded(
        {
            "accuracy": float(scores.accuracy),
            "weighted_f1": float(scores.weighted_f1),
            "weighted_f1_low": weighted[0],
            "weighted_f1_high": weighted[1],
            "macro_f1": float(scores.macro_f1),
            "macro_f1_low": macro[0],
            "macro_f1_high": macro[1],
            "ece": metrics.expected_calibration_error(part.answers[who].probabilities, part.actual),
            "ece_by_chance": metrics.calibration_error_by_chance(part.answers[who].probabilities, part.seed),
        }
    )
    return {"rows": len(part.rows), **values}


def _per_class(part: Evaluation, who: str) -> dict[str, Any]:
    scores = metrics.score(part.confusion(who))
    return {
        name: rounded({"precision": precision, "recall": recall, "f1": f1}) | {"support": int(support)}
        for name, precision, recall, f1, support in zip(
            part.label_names, scores.precision, scores.recall, scores.f1, scores.support, strict=True
        )
        if not np.isnan(f1)
    }


def _gain(part: Evaluation) -> dict[str, Any]:
    predictions = [part.answers[student].predicted for student in PROVENANCES]
    resampled = metrics.resample_together(
        part.actual, predictions, len(part.label_names), part.settings.bootstrap, part.seed
    )
    drawn = dict(zip(PROVENANCES, map(metrics.score, resampled), strict=True))
    exact = {student: metrics.score(part.confusion(student)) for student in PROVENANCES}

    def change(more: str, less: str, of: Callable[[metrics.Scores], FloatArray]) -> dict[str, float | None]:
        low, high = metrics.interval(of(drawn[more]) - of(drawn[less]), part.settings.coverage)
        return rounded({"difference": float(of(exact[more]) - of(exact[less])), "low": low, "high": high})

    def f1(label: int) -> Callable[[metrics.Scores], FloatArray]:
        return lambda scores: scores.f1[..., label]

    macro_f1 = attrgetter("macro_f1")
    return {
        "macro_f1": {student: _macro_f1(part, student) for student in PROVENANCES},
        "macro_f1_over_real": {more: change(more, BASELINE, macro_f1) for more in PROVENANCES[1:]},
        "macro_f1_over_step_before": {more: change(more, less, macro_f1) for less, more in pairwise(PROVENANCES)},
        "final_f1_over_real": {
            name: change(FINAL, BASELINE, f1(label))
            for label, name in enumerate(part.label_names)
            if exact[BASELINE].support[label] > 0
        },
    }


def _macro_f1(part: Evaluation, who: str) -> dict[str, Any]:
    """The same figures that `headline` gives."""
    scores = _headline(part, who)
    return {"value": scores["macro_f1"], "low": scores["macro_f1_low"], "high": scores["macro_f1_high"]}
