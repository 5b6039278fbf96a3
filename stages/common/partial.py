"""Answers that take long, kept chunk by chunk beside the file that they will become, so that a run can go on."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from stages.common.errors import DataError
from stages.common.io import read_json, read_table, write_json, write_table

logger = logging.getLogger(__name__)

STATE = "state.json"


class Partial:
    """A folder of numbered Parquet files, the parts of a table in order.

    A part is there whole or not at all, and none is before those that it follows: kill -9 costs what was in memory,
    and nothing stands twice. They belong to one question; to another, `open_partial` begins with none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows(self) -> int:
        """How many rows are written so far."""
        return sum(pq.read_metadata(part).num_rows for part in self._parts())

    def add(self, frame: pd.DataFrame) -> None:
        """Write the next part; on disk when this returns."""
        write_table(self._folder / f"{len(self._parts()):08}.parquet", frame)

    def frames(self, parts_at_a_time: int) -> Iterator[pd.DataFrame]:
        """The rows written so far in their order, those of some parts in a frame."""
        parts = self._parts()
        for start in range(0, len(parts), parts_at_a_time):
            yield pd.concat(map(read_table, parts[start : start + parts_at_a_time]), ignore_index=True)

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*.parquet"))


@contextmanager
def open_partial(target: Path, question: Mapping[str, str | float]) -> Iterator[Partial]:
    """Yield what an earlier run left of `target` to be gone on with; the folder vanishes when the block succeeds.

    `question` names all that the answers follow from. Where any of it is not as it was, the parts are thrown away.

    Raises:
        DataError: another process writes `target`.
    """
    folder = target.with_name(target.name + ".part")
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        _lock(held, target)
        asked = read_json(folder / STATE) if (folder / STATE).is_file() else None
        if asked != question:
            if asked:
                changed = ", ".join(key for key in question if asked.get(key) != question[key])
                logger.warning("%s is of another %s: starting over", folder, changed)
            # Its state first: parts without one are nobody's, should this run be killed here.
            for left in (folder / STATE, *folder.iterdir()):
                left.unlink(missing_ok=True)
            write_json(folder / STATE, question)
        yield Partial(folder)
        shutil.rmtree(folder)
    finally:
        os.close(held)


def _lock(folder: int, target: Path) -> None:
    """Hold `folder` until its descriptor is closed or this process dies."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataError(f"another process writes {target}; wait for it, or name another file") from error
