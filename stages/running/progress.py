"""Progress of long work: a bar on a terminal, lines in a log."""

from __future__ import annotations

import logging
import sys
import threading
import time
from functools import partialmethod
from types import TracebackType
from typing import Any

from tqdm import tqdm

from stages.running.record import duration
from stages.running.work import counted

logger = logging.getLogger(__name__)

# Seconds between two lines.
EVERY = 30.0

# The innermost one speaks: what it is part of waits for it.
_open: list[Progress] = []


class Progress:
    """`with Progress("label", 670, "answers", known=20) as progress: progress.update()`, once for each piece of work.

    Where standard error is no terminal: a line at the start, one every half minute, one at the end. `known` pieces
    were done before: they count neither for the rate nor as work of this run. Without a `total`, for work in one piece,
    the lines say that it starts, that it goes on, and how long it took.
    """

    def __init__(self, what: str, total: int | None = None, unit: str = "", *, known: int = 0) -> None:
        """Name the work, the number of its pieces, and what they are called (in the plural)."""
        self.what = what
        self.total = total
        self.unit = unit
        self.known = known
        self.done = 0
        self.note = ""
        self._bar: Any = None
        # When the first pieces of this run were done, and how many.
        self._first: tuple[float, int] | None = None
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Progress:
        """Say what there is to do."""
        self._start = time.perf_counter()
        _open.append(self)
        counted[f"known {self.unit}"] += self.known
        if not sys.stderr.isatty():
            self._ticker.start()
        elif self.total is not None:
            self._bar = tqdm(total=self.total, initial=self.known, desc=self.what, unit=f" {self.unit}")
        if self.total is None:
            logger.info("%s …", self.what)
        elif self._bar is None:
            known = "all" if self.known == self.total else self.known
            logger.info("%s: %d %s, %s known", self.what, self.total, self.unit, known)
        return self

    def update(self, pieces: int = 1, note: str = "") -> None:
        """So many more are done; `note` is shown beside the figures."""
        self.done += pieces
        self.note = note
        counted[self.unit] += pieces
        if self._first is None and pieces:
            self._first = time.perf_counter(), self.done
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(pieces)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say how long it took, or where it stopped."""
        self._ended.set()
        _open.remove(self)
        if self._ticker.is_alive():
            self._ticker.join()
        taken = duration(time.perf_counter() - self._start)
        if self._bar is not None:
            self._bar.close()
        elif kind is not None:
            logger.info("%s: stopped after %s", ", ".join([self.what, *self._figures()]), taken)
        elif self.total is None:
            logger.info("%s: %s", self.what, taken)
        elif self.done:
            logger.info("%s: %s", self.what, ", ".join([f"{self.done} {self.unit} in {taken}", *self._rate_in_words()]))

    def _tick(self) -> None:
        while not self._ended.wait(EVERY):
            if _open[-1:] == [self]:
                so_far = f"{duration(time.perf_counter() - self._start)} so far"
                logger.info("%s: %s", self.what, ", ".join(filter(None, [*self._figures(), self.note, so_far])))

    def _figures(self) -> list[str]:
        """Done, rate, time left."""
        if self.total is None:
            return []
        done, rate = self.known + self.done, self._rate()
        left = [f"about {duration((self.total - done) / rate, rough=True)} left"] if rate else []
        return [f"{done} of {self.total} ({done / self.total:.0%})", *self._rate_in_words(), *left]

    def _rate(self) -> float:
        """Pieces a second; 0 as long as that cannot be told.

        The first one waits for a model to load: what comes after it counts.
        """
        since, before = self._first or (0.0, self.done)
        return (self.done - before) / (time.perf_counter() - since)

    def _rate_in_words(self) -> list[str]:
        rate = self._rate()
        return [f"{rate:.3g} {self.unit}/s"] if rate else []


def silence_libraries() -> None:
    """Keep libraries' own bars out of a log, where each of their updates would stay; a bar that asks to be is drawn."""
    if not sys.stderr.isatty():
        tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)  # type: ignore[assignment,method-assign]
