"""Answers that people bring in a file: which review each is of, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.annotating.answers import COLUMNS
from stages.annotating.config import STRATEGIES
from stages.annotating.label_studio import REVIEW_ID, is_export, read_export
from stages.common.labels import meant_label
from stages.common.texts import letters
from stages.ingestion.cleaning import clean
from stages.reading.table import read_whole
from stages.running.errors import DataError
from stages.running.io import read_table, write_table
from stages.running.spreadsheet import unescape_formulas

# Of rows that were set aside, in `set_aside.csv`.
SET_ASIDE = ("file", "row", "reason", "id", "text", "label")


@dataclass(frozen=True)
class Taken:
    """What `take` made of a file.

    `rows` are the good answers (columns of `answers.COLUMNS`), one a review; `set_aside` (columns `SET_ASIDE`) the
    rows that are none, with a reason; `changed` (columns row, text, given) those of `rows` whose text came back with
    other letters.
    """

    rows: pd.DataFrame
    set_aside: pd.DataFrame
    changed: pd.DataFrame


def read_given(path: Path) -> pd.DataFrame:
    """The rows of a table or of an export of Label Studio, columns row, id, text, label, drawn, as they were written.

    A table has a column `label`, and `id` or `text` or both; `row` is what its row is called in messages.

    Raises:
        DataError: it is neither; as `read_whole` and `read_export`.
    """
    if path.is_file() and is_export(path):
        return read_export(path)
    table = unescape_formulas(read_whole(path, "label", key="ANSWERS"))
    given = pd.DataFrame({"row": [f"row {number}" for number in table.index]})
    # In a CSV of Label Studio `id` may be the task's.
    sources = {"id": REVIEW_ID if REVIEW_ID in table else "id", "text": "text", "label": "label", "drawn": "drawn"}
    if sources["id"] not in table and "text" not in table:
        raise DataError(f"{path} has neither a column 'id' nor a column 'text'; leave those of the batch in it")
    for column, source in sources.items():
        given[column] = table[source].to_numpy() if source in table else ""
    return given


def take(given: pd.DataFrame, texts: Mapping[str, str], drawn: Mapping[str, str], names: Sequence[str]) -> Taken:
    """Which answers of `given` (as of `read_given`) can be taken.

    A row belongs to the review of its id, or else to the one with the letters of its text. One whose text has letters
    of no review is taken by its id, with the text that is known.

    Args:
        given: the rows.
        texts: text of every review that is known, by id.
        drawn: how reviews of batches were picked, by id; for others `given` has a say.
        names: the categories.
    """
    by_letters = {letters(text): identity for identity, text in texts.items()}
    came = [letters(clean(text)) for text in given["text"]]
    by_text = [by_letters.get(signs, "") if signs else "" for signs in came]
    rows = given.assign(
        review=[identity if identity in texts else other for identity, other in zip(given["id"], by_text, strict=True)],
        meant=[meant_label(label, names) or "" for label in given["label"]],
    )
    rows["changed"] = [
        bool(signs) and signs != letters(texts.get(review, ""))
        for signs, review in zip(came, rows["review"], strict=True)
    ]
    columns = (rows[name] for name in ("review", "label", "meant"))
    rows["reason"] = [
        _reason(review, other, label, meant, names)
        for other, review, label, meant in zip(by_text, *columns, strict=True)
    ]
    sound = rows[rows["reason"] == ""]
    for _, group in sound.groupby("review"):
        if group["meant"].nunique() > 1:
            said = ", ".join(f"{row} {label!r}" for row, label in zip(group["row"], group["meant"], strict=True))
            rows.loc[group.index, "reason"] = f"answers to one review disagree ({said}); keep one"
    good = rows[rows["reason"] == ""]
    good = good.assign(given=good["text"], text=good["review"].map(texts))
    answers = good.drop_duplicates("review").drop(columns=["id", "label"])
    answers = answers.rename(columns={"review": "id", "meant": "label"})
    own = answers["drawn"].where(answers["drawn"].isin(STRATEGIES), "")
    answers["drawn"] = [drawn.get(identity, other) for identity, other in zip(answers["id"], own, strict=True)]
    return Taken(
        rows=answers[list(COLUMNS)].reset_index(drop=True),
        set_aside=rows.loc[rows["reason"] != "", ["row", "reason", "id", "text", "label"]].reset_index(drop=True),
        changed=good.loc[good["changed"], ["row", "text", "given"]].reset_index(drop=True),
    )


def keep_aside(path: Path, set_aside: pd.DataFrame, source: Path) -> None:
    """Put the rows `set_aside` of the file `source` into the table `path`, in place of those that it had of that file.

    Raises:
        DataError: `path` cannot be read.
    """
    old = read_table(path).astype(str) if path.exists() else pd.DataFrame(columns=list(SET_ASIDE), dtype=str)
    others = old[old["file"] != str(source)]
    new = set_aside.assign(file=str(source))[list(SET_ASIDE)]
    if path.exists() or len(new):
        write_table(path, pd.concat([others, new]).sort_values("file", kind="stable"))


def _reason(review: str, by_text: str, label: str, meant: str, names: Sequence[str]) -> str:
    """Why a row cannot be taken; "" where it can."""
    if not review:
        return "no review of this run or of a batch has its id or its text"
    if by_text and by_text != review:
        return "its id is of one review and its text of another: columns were sorted apart; mend the file"
    if not label.strip():
        return "no label; still to be answered"
    if not meant:
        return f"label {label!r} is none of {', '.join(names)}; correct it"
    return ""
