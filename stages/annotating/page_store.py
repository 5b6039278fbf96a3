"""What people pressed on the page: a log in SQLite, from which every state follows.

Nothing is overwritten, so undo is exact and goes back to the first press, and two open pages cannot destroy each
other's answers: of the presses for a review, the last one that is not taken back counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Literal
from uuid import uuid4

import pandas as pd

from stages.common.database import Database
from stages.common.texts import text_id

Kind = Literal["answer", "skip", "comment", "undo", "write"]

_REMEDY = "Make room or let it be written to; what is open in a browser is saved as soon as that is done"


@dataclass(frozen=True)
class Press:
    """One press on the page, known by `press`.

    `value` is a label (answer), a text (comment) or the press that is taken back (undo), else "". `browser` and `tab`
    tell whose it was: undo goes through one's own.
    """

    press: str
    batch: str
    review: str
    kind: Kind
    value: str = ""
    who: str = ""
    browser: str = ""
    tab: str = ""


@dataclass(frozen=True)
class Logged(Press):
    """A press in the log: its place there, from 1 on, and when it came, in seconds since 1970."""

    number: int = 0
    at: float = 0.0


@dataclass(frozen=True)
class State:
    """Where a review stands: without a label it was skipped (nobody can tell), taken back or only commented on."""

    label: str | None = None
    comment: str = ""


class UnknownReviewError(Exception):
    """A press for a review that its batch does not have, or of a batch that this store never saw."""


_COLUMNS = ", ".join(field.name for field in fields(Logged))
_TABLES = {
    # What was asked: answers outlive the file of their batch.
    "reviews": "batch TEXT, place INTEGER, id TEXT, text TEXT, drawn TEXT, PRIMARY KEY (batch, id)",
    "presses": (
        "press TEXT UNIQUE, batch TEXT, review TEXT, kind TEXT, value TEXT, who TEXT, browser TEXT, tab TEXT, "
        "number INTEGER PRIMARY KEY, at REAL"
    ),
}


class PageStore:
    """The log at `path`, to be used by one thread and closed; a press is on the disk when `add` returns.

    Raises:
        DataError: the file cannot be used; so do all methods.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _TABLES, synced=True, remedy=_REMEDY)

    def __enter__(self) -> PageStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()

    def open(self, reviews: pd.DataFrame) -> str:
        """Remember the `reviews` of a batch (`id,text,drawn`); return what its presses name it by."""
        # Whatever order a spreadsheet has left them in.
        batch = text_id("\n".join(sorted(reviews["id"])))
        if not self._has("reviews WHERE batch = ?", batch):
            rows = zip(reviews["id"], reviews["text"], reviews["drawn"], strict=True)
            with self._database.transaction():
                self._database.executemany(
                    "INSERT OR IGNORE INTO reviews VALUES (?, ?, ?, ?, ?)",
                    [(batch, place, *row) for place, row in enumerate(rows)],
                )
        return batch

    def add(self, press: Press) -> None:
        """Append a press, once however often it is sent.

        Raises:
            UnknownReviewError: its batch has no such review.
        """
        if not self._has("reviews WHERE batch = ? AND id = ?", press.batch, press.review):
            raise UnknownReviewError(press.review)
        self._append(press)

    def log(self, batch: str, after: int = 0) -> list[Logged]:
        """The presses of `batch` with a number above `after`, in their order."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM presses WHERE batch = ? AND number > ? ORDER BY number", [batch, after]
        )
        return [Logged(*row) for row in rows]

    def states(self, batch: str) -> dict[str, State]:
        """Where the reviews of `batch` stand that were touched, by their ids."""
        log = self.log(batch)
        undone = {press.value for press in log if press.kind == "undo"}
        states: dict[str, State] = {}
        for press in log:
            state = states.setdefault(press.review, State())
            if press.kind == "comment":
                states[press.review] = replace(state, comment=press.value)
            elif press.kind in ("answer", "skip") and press.press not in undone:
                states[press.review] = replace(state, label=press.value if press.kind == "answer" else None)
        return states

    @contextmanager
    def writing(self, batch: str | None) -> Iterator[pd.DataFrame]:
        """Yield what is to be written: the touched reviews (`id,text,label,drawn`) of `batch`, if one is open, and of
        others with presses since they were last written.

        `label` is None where there is no answer (now); of a review that two batches have, the later batch counts. Where
        the block succeeds it was written; no press comes in between.
        """
        with self._database.transaction():
            batches = [other for other in self._unwritten() if other != batch] + ([batch] if batch else [])
            yield self._touched(batches)
            for each in batches:
                self._append(Press(uuid4().hex, each, "", "write"))

    def is_written(self) -> bool:
        """Whether nothing was pressed since all was last written."""
        return not self._unwritten()

    def _unwritten(self) -> list[str]:
        rows = self._database.execute(
            "SELECT batch FROM presses GROUP BY batch "
            "HAVING MAX(number) > MAX(number * (kind = 'write')) ORDER BY MIN(number)"
        )
        return [batch for (batch,) in rows]

    def _touched(self, batches: Sequence[str]) -> pd.DataFrame:
        rows: dict[str, tuple[str, str, str | None, str]] = {}
        for batch in batches:
            states = self.states(batch)
            asked = self._database.execute(
                "SELECT id, text, drawn FROM reviews WHERE batch = ? ORDER BY place", [batch]
            )
            rows |= {id_: (id_, text, states[id_].label, drawn) for id_, text, drawn in asked if id_ in states}
        return pd.DataFrame(list(rows.values()), columns=["id", "text", "label", "drawn"], dtype=object)

    def _append(self, press: Press) -> None:
        values = [*asdict(press).values(), time.time()]
        self._database.execute("INSERT OR IGNORE INTO presses VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)", values)

    def _has(self, rows: str, *values: str) -> bool:
        return bool(self._database.execute(f"SELECT 1 FROM {rows} LIMIT 1", values))
