"""What the page to annotate on asks and says: the open batch, the log of presses, the file of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from stages.annotating.answers import merge, read_answers
from stages.annotating.batch import FILE, read_batch
from stages.annotating.page_store import Logged, PageStore, Press, UnknownReviewError
from stages.common.texts import text_id
from stages.running.errors import DataError
from stages.running.io import write_table

# Columns of the batch that the page shows.
_SHOWN = ["id", "text", "split", "teacher", "second_opinion", "student", "confidence"]


@dataclass(frozen=True)
class Log:
    """`presses` that the page did not know; `batch` is the open one, None for none; `written`: nothing is new."""

    batch: str | None
    presses: list[Logged]
    written: bool


@dataclass(frozen=True)
class Written:
    """What `merge` did with the answers; `taken_back` are the texts of reviews without one now that `file` has."""

    file: str
    added: int
    changed: int
    same: int
    taken_back: list[str]


class Page:
    """The page over the batch beside the file `answers`, where the log of presses lies too.

    Methods may be called in any thread: each opens the log for itself.

    Raises:
        DataError: a file cannot be used; so do all methods.
    """

    def __init__(self, answers: Path, categories: Sequence[str]) -> None:
        self._answers = answers
        self._folder = answers.parent
        self._categories = list(categories)

    def batch(self) -> dict[str, Any]:
        """The open batch; no key and no reviews where there is none."""
        with self._store() as store:
            reviews, key = self._open(store)
        return {"batch": key, "categories": self._categories, "reviews": reviews[_SHOWN].to_dict("records")}

    def log(self, batch: str, seen: int) -> Log:
        """What was pressed for `batch` since press number `seen`, on other pages too."""
        with self._store() as store:
            return self._log(store, batch, seen)

    def save(self, press: Press, seen: int) -> Log | None:
        """Save a press, then as `log`; None where no batch that was shown has its review."""
        with self._store() as store:
            try:
                store.add(press)
            except UnknownReviewError:
                return None
            return self._log(store, press.batch, seen)

    def write(self) -> Written:
        """Put the answers of this batch, and of those before it that were not written, into the file of answers."""
        with self._store() as store, store.writing(self._open(store)[1]) as touched:
            # Of other categories than today's: the batch asks for them anew.
            answered = touched["label"].isin(self._categories)
            done = merge(self._answers, touched[answered], self._categories)
            kept = read_answers(self._answers)["id"]
            taken_back = touched.loc[~answered & touched["id"].isin(kept), "text"]
            return Written(str(self._answers), done.added, done.changed, done.same, list(taken_back))

    def filled(self) -> str:
        """The batch as CSV with labels and comments filled in, as `make annotate ANSWERS=batch.csv` takes it."""
        with self._store() as store:
            batch, key = self._open(store)
            states = store.states(key) if key else {}
        reviews = batch.copy()
        for identity, state in states.items():
            reviews.loc[reviews["id"] == identity, ["label", "comment"]] = [state.label or "", state.comment]
        with TemporaryDirectory(prefix="razmetka-") as folder:
            write_table(Path(folder) / FILE, reviews)
            # As bytes: reading text would make other line ends of those inside of cells.
            return (Path(folder) / FILE).read_bytes().decode("utf-8")

    def _store(self) -> PageStore:
        return PageStore(self._folder / "page.sqlite")

    def _open(self, store: PageStore) -> tuple[pd.DataFrame, str | None]:
        file = self._folder / FILE
        known = file.stat() if file.exists() else None
        batch = _read(self._folder, known and (known.st_ino, known.st_size, known.st_mtime_ns))
        return batch, store.open(batch) if len(batch) else None

    def _log(self, store: PageStore, batch: str, seen: int) -> Log:
        return Log(self._open(store)[1], store.log(batch, seen), store.is_written())


@lru_cache(maxsize=1)
def _read(folder: Path, state: tuple[int, ...] | None) -> pd.DataFrame:
    """The batch in `folder`, read once for each `state` of its file: every press asks for it."""
    batch = read_batch(folder).drop_duplicates("id")
    changed = batch[batch["id"] != batch["text"].map(text_id)]
    if len(changed):
        raise DataError(
            f"{folder / FILE}: the text of {len(changed)} reviews is not the one that was drawn, that of "
            f"{changed['text'].iloc[0][:60]!r} for one; draw a new batch by `make annotate ARGS=--new`"
        )
    return batch
