"""Truth, and what everyone answered, over the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.common.arrays import BoolArray, FloatArray, IntArray, label_indices, probability_matrix
from stages.scoring import metrics
from stages.scoring.config import Evaluate


@dataclass(frozen=True)
class Answers:
    """One classifier's answers: label indices (rows,), `len(labels)` for none; distributions (rows, labels) or nan.

    `asked` (rows,): what it was asked about at all; of these, no answer is a wrong one.
    """

    predicted: IntArray
    probabilities: FloatArray
    asked: BoolArray

    @classmethod
    def of(cls, probabilities: FloatArray) -> Answers:
        """Answers that follow the most probable label."""
        return cls(probabilities.argmax(axis=1), probabilities, np.ones(len(probabilities), dtype=bool))

    def part(self, rows: BoolArray) -> Answers:
        """The answers to the rows of a mask."""
        return Answers(self.predicted[rows], self.probabilities[rows], self.asked[rows])


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

    def part(self, rows: BoolArray) -> Evaluation:
        """The same over the rows of a mask."""
        answers = {who: given.part(rows) for who, given in self.answers.items()}
        return Evaluation(self.rows[rows], answers, self.label_names, self.settings, self.seed)

    def asked(self, who: str) -> Evaluation:
        """The same over the rows that `who` was asked about."""
        return self.part(self.answers[who].asked)

    @property
    def actual(self) -> IntArray:
        """True label indices, shape (rows,)."""
        return label_indices(self.rows["label"], self.label_names)

    def confusion(self, who: str) -> IntArray:
        """Confusion counts, shape (labels, labels + 1)."""
        return metrics.confusion_matrix(self.actual, self.answers[who].predicted, len(self.label_names))


def stored_answers(
    rows: pd.DataFrame, labelled: pd.DataFrame, asked: pd.DataFrame, label_names: Sequence[str]
) -> Answers:
    """The answers to gold `rows` of who labels.

    Args:
        rows: gold_set and id among their columns.
        labelled: the answers that there are: gold_set, id, label, probabilities.
        asked: the rows that were asked about: gold_set, id.
        label_names: the categories in order.
    """
    labelled = labelled.reset_index(drop=True)
    keys = ["gold_set", "id"]
    found = rows[keys].merge(labelled.reset_index(), on=keys, how="left")["index"]
    answered = found.notna().to_numpy()
    chosen = labelled.iloc[found[answered].astype(int)]
    predicted = np.full(len(rows), len(label_names), dtype=np.int64)
    probabilities = np.full((len(rows), len(label_names)), np.nan)
    predicted[answered] = label_indices(chosen["label"], label_names)
    if answered.any():
        probabilities[answered] = probability_matrix(chosen)
    of_these = pd.MultiIndex.from_frame(rows[keys]).isin(pd.MultiIndex.from_frame(asked[keys]))
    return Answers(predicted, probabilities, of_these)
