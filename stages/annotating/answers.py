"""What people said of reviews, as it is kept: `annotations/answers.csv`, a row a review, sorted by `id`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.annotating.config import STRATEGIES
from stages.common.locks import locked
from stages.common.texts import text_id
from stages.reading.table import read_whole
from stages.running.errors import DataError
from stages.running.io import write_table
from stages.running.spreadsheet import unescape_formulas

logger = logging.getLogger(__name__)

# `drawn` says how the review was picked: a strategy, or nothing where somebody brought it.
COLUMNS = ("id", "text", "label", "drawn")


@dataclass(frozen=True)
class Merge:
    """What became of the rows that were brought; together they are all of them."""

    added: int
    changed: int
    same: int


def read_answers(path: Path) -> pd.DataFrame:
    """The answers in `path`, columns `COLUMNS`; none where there is no such file.

    A label may be of other categories than those of today: the file outlives a run.

    Raises:
        DataError: the file was damaged by hand; the message names the row and says how to mend it.
    """
    if not path.exists() or path.read_text(encoding="utf-8", errors="replace").strip() in ("", ",".join(COLUMNS)):
        return pd.DataFrame(columns=list(COLUMNS), dtype=str)
    rows = unescape_formulas(read_whole(path, "label", key="human.answers"))
    if set(rows.columns) != set(COLUMNS):
        raise DataError(f"{path} has the columns {', '.join(rows.columns)}, not {', '.join(COLUMNS)}; {_mend(path)}")
    for number, fault in zip(rows.index, _faults(rows), strict=True):
        if fault:
            raise DataError(f"{path}, row {number}: {fault}; {_mend(path)}")
    twice = rows.index[rows["id"].duplicated()]
    if len(twice):
        again = rows.loc[twice[0], "id"]
        numbers = ", ".join(map(str, rows.index[rows["id"] == again]))
        raise DataError(f"{path}: rows {numbers} are of one review; keep one of them")
    return rows[list(COLUMNS)].reset_index(drop=True)


def merge(path: Path, rows: pd.DataFrame, names: Sequence[str]) -> Merge:
    """Put `rows` (columns `COLUMNS`) among the answers in `path`, whole or not at all; a newer answer wins and is told.

    Of several rows of one review the last counts. Who asks at the same time waits. Nothing is written where nothing
    changes.

    Args:
        path: the file of answers; made where there is none.
        rows: answers to cleaned reviews, `id` as of `text_id`; an empty `drawn` leaves what the file says.
        names: the categories.

    Raises:
        DataError: as `read_answers`; or a row of `rows` is none that could be read back, or has an unknown label.
    """
    for text, label, fault in zip(rows["text"], rows["label"], _faults(rows), strict=True):
        if fault or label not in names:
            raise DataError(f"the review {text[:60]!r}: {fault or 'its label ' + repr(label) + ' is not a category'}")
    rows = rows[list(COLUMNS)].drop_duplicates("id", keep="last")
    with locked(path.parent):
        old = read_answers(path).set_index("id")
        new = rows.set_index("id")
        known = new[new.index.isin(old.index)]
        changed = known[known["label"] != old.loc[known.index, "label"]]
        for identity, row in changed.iterrows():
            before = old.at[identity, "label"]
            logger.warning("%s: %r was %r, is %r from now on", path, row["text"][:60], before, row["label"])
        first_drawn = old["drawn"].reindex(new.index).fillna("")
        new["drawn"] = first_drawn.where(first_drawn != "", new["drawn"])
        merged = pd.concat([old.drop(known.index), new]).sort_index()
        if not path.exists() or not merged.equals(old.sort_index()):
            write_table(path, merged.reset_index()[list(COLUMNS)])
    return Merge(added=len(new) - len(known), changed=len(changed), same=len(known) - len(changed))


def _faults(rows: pd.DataFrame) -> Iterator[str]:
    """What is wrong with each row of answers, in words; "" where nothing is."""
    for identity, text, label, drawn in rows[list(COLUMNS)].itertuples(index=False):
        if identity != text_id(text):
            yield f"its text is not the one that its id {identity!r} stands for"
        elif not label:
            yield "it has no label"
        elif drawn not in (*STRATEGIES, ""):
            yield f"drawn={drawn!r} is none of {', '.join(STRATEGIES)}"
        else:
            yield ""


def _mend(path: Path) -> str:
    return f"take the edit back (`git checkout {path}`) and bring answers by `make annotate ANSWERS=your_file.csv`"
