"""Which review of this run an answer is of, and what follows from the split that the review is in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from stages.common.texts import letters
from stages.running.errors import DataError

# What an answer is good for; by the review's split, so that nothing is scored that was learnt from.
ROLES = {"train": "learnt", "validation": "temperature", "test": "scored"}


@dataclass(frozen=True)
class Matched:
    """`answered` (columns row, id, text, label, drawn, split; id and text as in this run) and `set_aside` (row, reason,
    text, label) are all answers together; `row` is what a spreadsheet shows.
    """

    answered: pd.DataFrame
    set_aside: pd.DataFrame

    def counts(self) -> dict[str, int]:
        """How many answers there are, and what became of them; the others sum up to `answers`."""
        by_split = self.answered["split"].value_counts()
        roles = {role: int(by_split.get(split, 0)) for split, role in ROLES.items()}
        return {"answers": len(self.answered) + len(self.set_aside), **roles, "set_aside": len(self.set_aside)}


def match(
    answers: pd.DataFrame,
    reviews: pd.DataFrame,
    labelled: Collection[str],
    checked: Collection[str],
    names: Sequence[str],
    source: str,
) -> Matched:
    """Find the review of each answer by the letters of its text.

    Args:
        answers: as of `annotating.answers.read_answers`.
        reviews: those of this run (schema REVIEWS), no two with the same letters.
        labelled: ids of those that have a label of the teacher's.
        checked: letters of the texts of gold and calibration files.
        names: the labels.
        source: what the answers were read from, for messages.

    Raises:
        DataError: a review of this run has several labels, or one that is not among `names`.
    """
    rows = numbered(answers)
    known = reviews.assign(key=reviews["text"].map(letters)).set_index("key")
    known = known[known.index.isin(rows["key"])]
    ours = rows["key"].isin(known.index)
    require_labels(rows[ours], names, source)
    again = ours & rows["key"].duplicated()
    # What is only scored needs no label of the teacher's: to give none is a wrong answer of his.
    usable = known["id"].isin(list(labelled)) | (known["split"] == "test")
    reason = pd.Series("", rows.index)
    reason[rows["key"].isin(known.index[~usable])] = "the teacher gave no label that could be read"
    reason[again] = "the same review as in a row before"
    reason[~ours] = "not among the reviews of this run"
    reason[~ours & rows["key"].isin(list(checked))] = "also in a checked file"
    good = rows[reason == ""]
    of_run = known.loc[good["key"], ["id", "text", "split"]].set_index(good.index)
    answered = pd.concat([good[["row", "label", "drawn"]], of_run], axis=1)
    set_aside = rows.assign(reason=reason)[reason != ""]
    return Matched(
        answered[["row", "id", "text", "label", "drawn", "split"]].reset_index(drop=True),
        set_aside[["row", "reason", "text", "label"]].reset_index(drop=True),
    )


def numbered(answers: pd.DataFrame) -> pd.DataFrame:
    """`answers` with `row`, the number that a spreadsheet shows, and `key`, the letters that tell a review."""
    return answers.assign(row=answers.index + 2, key=answers["text"].map(letters))


def require_labels(answers: pd.DataFrame, names: Sequence[str], source: str) -> None:
    """Raise `DataError` where `numbered` answers to reviews of this run cannot be used.

    Those to other reviews may be of other categories.
    """
    unknown = answers[~answers["label"].isin(names)]
    if len(unknown):
        first = unknown.iloc[0]
        raise DataError(
            f"{source}, row {first['row']}: label {first['label']!r} is not one of {', '.join(names)}; correct it, or "
            "take the row out"
        )
    for _, same in answers.groupby("key", sort=False):
        if same["label"].nunique() > 1:
            said = ", ".join(f"row {row} {label!r}" for row, label in zip(same["row"], same["label"], strict=True))
            raise DataError(f"{source}: one review has several labels ({said}); keep one")
