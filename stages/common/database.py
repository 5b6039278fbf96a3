"""SQLite files that several runs write to at once, and that neither kill -9 nor a damaged disk takes answers from."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from stages.common.locks import locked
from stages.running.errors import DataError

logger = logging.getLogger(__name__)

# SQLite takes so many values in one question at the least.
KEYS_AT_A_TIME = 500
# What SQLite calls a file that is damaged, or none of its own.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# In the name of a damaged file.
ASIDE = ".damaged-"
# Beside the file, while it is in use.
_COMPANIONS = ("-wal", "-shm")
# What helps where a file of the cache folder cannot be used.
IN_THE_CACHE = (
    "`make cache` shows what takes the room; when there is enough, or with another folder as RAZMETKA_CACHE, the same "
    "command goes on from there"
)

Result = TypeVar("Result")


class Database:
    """One file with a write-ahead log and `tables`, name -> columns; a statement outside `transaction` is committed.

    No write waits for the disk unless it is `synced`: a power cut may lose the last ones, and damages nothing. A
    damaged file is moved aside as soon as it is met, and what can be read of it goes into a new one.

    Raises:
        DataError: the file cannot be opened, read or written, on a full disk for instance; so do all methods. The
            message ends with `remedy`.
    """

    def __init__(self, path: Path, tables: dict[str, str], *, synced: bool = False, remedy: str = IN_THE_CACHE) -> None:
        self.path = path
        self._tables = tables
        self._synchronous = "FULL" if synced else "NORMAL"
        self._remedy = remedy
        self._connection = sqlite3.connect(":memory:")
        with _in_words(path, remedy):
            try:
                # SQLite lets one process at a time make a file a write-ahead one, and has no patience with the others.
                with locked(path.parent):
                    self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                self._repair(error)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; return its rows."""
        return self._run(lambda: self._connection.execute(statement, values).fetchall())

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`; inside `transaction`, where it does not commit each by itself."""
        self._run(lambda: self._connection.executemany(statement, rows))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit the statements of the block together; no other process writes between the first and the last."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()

    def damage(self) -> str:
        """What SQLite finds wrong with the whole file, in words; "" for nothing."""
        with _in_words(self.path, self._remedy):
            return _damage(self._connection)

    def close(self) -> None:
        """Let go of the file; nothing can be asked after that."""
        self._connection.close()

    def _run(self, work: Callable[[], Result]) -> Result:
        with _in_words(self.path, self._remedy):
            try:
                return work()
            except sqlite3.DatabaseError as error:
                self._repair(error)
                return work()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        # A text with damaged letters is its reader's to refuse.
        connection.text_factory = lambda stored: stored.decode("utf-8", "replace")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        for name, columns in self._tables.items():
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
        return connection

    def _repair(self, error: sqlite3.DatabaseError) -> None:
        """Go on with a sound file where `error` says that this one is damaged; else raise it again."""
        if _code(error) not in _DAMAGED:
            raise error
        began = self._connection.in_transaction
        self._connection.close()
        with locked(self.path.parent):
            # Another process may have met the damage first.
            aside = None if self._is_sound() else self._move_aside()
            self._connection = self._connect()
            if aside:
                kept = sum(self._salvage(aside, name) for name in self._tables)
                logger.warning(
                    "%s was damaged (%s): it is now %s, and the %d rows that could be read of it were kept",
                    self.path, error, aside.name, kept,
                )  # fmt: skip
        if began:
            self._connection.execute("BEGIN IMMEDIATE")

    def _is_sound(self) -> bool:
        with closing(sqlite3.connect(self.path, timeout=60)) as connection:
            return not _damage(connection)

    def _move_aside(self) -> Path:
        aside = self.path.with_name(f"{self.path.stem}{ASIDE}{datetime.now():%Y%m%d-%H%M%S-%f}{self.path.suffix}")
        for ending in ("", *_COMPANIONS):
            part = Path(f"{self.path}{ending}")
            if part.exists():
                part.rename(f"{aside}{ending}")
        return aside

    def _salvage(self, aside: Path, table: str) -> int:
        """Copy what can be read of `table`, from its first row on and from its last one back; return the number."""
        for direction in ("ASC", "DESC"):
            try:
                with closing(sqlite3.connect(aside)) as damaged:
                    for row in damaged.execute(f"SELECT * FROM {table} ORDER BY rowid {direction}"):
                        places = ", ".join("?" * len(row))
                        self._connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)
            except sqlite3.DatabaseError:
                continue
        count: int = self._connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
        return count


def _damage(connection: sqlite3.Connection) -> str:
    try:
        (first,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if _code(error) not in _DAMAGED:
            raise
        first = error
    return "" if first == "ok" else " ".join(str(first).split())


def _code(error: sqlite3.Error) -> int:
    """SQLite's own number; 0 where it is the module that complains."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def _in_words(path: Path, remedy: str) -> Iterator[None]:
    """Turn what the disk or SQLite says into one line, which ends with `remedy`."""
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as error:
        full = isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_FULL
        what = "no room is left on its disk" if full else str(error)
        raise DataError(f"cannot use {path}: {what}; what it holds so far stays. {remedy}") from error
