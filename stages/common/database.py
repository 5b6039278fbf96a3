"""SQLite files that several runs write to at once, and that kill -9 does not harm."""

from __future__ import annotations

import sqlite3
from pathlib import Path

# SQLite takes so many values in one question at the least.
KEYS_AT_A_TIME = 500


def open_database(path: Path, table: str) -> sqlite3.Connection:
    """Open or make the file with a write-ahead log and `table`, a name and its columns; every statement is committed.

    No write waits for the disk (`synchronous=NORMAL`): a power cut may lose the last ones, and damages nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    return database
