"""Answers that take long, kept chunk by chunk beside the file that they will become, so that a run can go on."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.running.errors import DataError
from stages.running.io import atomic_path, read_json, write_json

logger = logging.getLogger(__name__)

STATE = "state.json"
# What is written to see whether anything can be: a block of most disks.
BLOCK = 4096


class Partial:
    """A folder of numbered Parquet files, the parts of the table `target` in order.

    A part is there whole or not at all, and none is before those that it follows: kill -9 costs what was in memory,
    and nothing stands twice. They belong to one question; to another, `begin` begins with none. A full disk costs as
    little: `DataError` says so, and what is written stays.
    """

    def __init__(self, folder: Path, target: Path) -> None:
        self._folder = folder
        self._target = target

    def begin(self, question: Mapping[str, str | float]) -> None:
        """Keep the parts if they answer `question`, which names all that answers follow from; else throw them away."""
        state = self._folder / STATE
        asked = read_json(state) if state.is_file() else None
        if asked == question:
            return
        if asked:
            changed = ", ".join(key for key in question if asked.get(key) != question[key])
            logger.warning("%s is of another %s: starting over", self._folder, changed)
        with _writing(self._target):
            # Its state first: parts without one are nobody's, should this run be killed here.
            for left in (state, *self._folder.iterdir()):
                left.unlink(missing_ok=True)
            write_json(state, question)

    def rows(self) -> int:
        """How many rows are written so far."""
        return sum(pq.read_metadata(part).num_rows for part in self._parts())

    def add(self, table: pa.Table) -> None:
        """Write the next part; on disk when this returns."""
        part = self._folder / f"{len(self._parts()):08}.parquet"
        with _writing(self._target), atomic_path(part) as temporary:
            pq.write_table(table, temporary)

    def tables(self, parts_at_a_time: int) -> Iterator[pa.Table]:
        """The rows written so far in their order, those of some parts in a table; types are those that were added."""
        parts = self._parts()
        for start in range(0, len(parts), parts_at_a_time):
            # By name, as `pyarrow.parquet.read_table` reads, two columns of one name cannot be told apart.
            some = [pq.ParquetFile(part).read() for part in parts[start : start + parts_at_a_time]]
            yield pa.concat_tables(some)

    @contextmanager
    def complete(self) -> Iterator[Path]:
        """Yield a path to write the whole table to, which becomes the target when the block succeeds."""
        # Among the parts, so that it vanishes with them if this process is killed.
        whole = self._folder / f"whole{self._target.suffix}"
        with _writing(self._target):
            with atomic_path(whole) as temporary:
                yield temporary
            os.replace(whole, self._target)

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*.parquet"))


@contextmanager
def open_partial(target: Path) -> Iterator[Partial]:
    """Yield what an earlier run left of `target` to be gone on with; the folder vanishes when the block succeeds.

    Raises:
        DataError: `target` cannot be written, or another process writes it.
    """
    folder = target.with_name(target.name + ".part")
    with _writing(target):
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
    try:
        _lock(held, target)
        try:
            with _writing(target), atomic_path(folder / "probe") as probe:
                probe.write_bytes(bytes(BLOCK))
            (folder / "probe").unlink()
            yield Partial(folder, target)
            shutil.rmtree(folder)
        finally:
            # One that was made for nothing; what holds parts stays.
            with suppress(OSError):
                folder.rmdir()
    finally:
        os.close(held)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Say in one line why `target` cannot be written."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room, and the same command goes on" if full else "name a file that can be written"
        raise DataError(f"{target} cannot be written ({reason}); {remedy}") from error


def _lock(folder: int, target: Path) -> None:
    """Hold `folder` until its descriptor is closed or this process dies."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataError(f"another process writes {target}; wait for it, or name another file") from error
