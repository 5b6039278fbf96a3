"""Damaged files, full disks, files that are none: nothing is lost silently, and every failure is one line."""

import multiprocessing
import resource
import signal
import sqlite3
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from stages.common.database import Database
from stages.running.errors import DataError

TABLES = {"rows": "key TEXT PRIMARY KEY, value TEXT NOT NULL"}


def filled(path: Path, rows: int) -> Database:
    database = Database(path, TABLES)
    with database.transaction():
        database.executemany("INSERT INTO rows VALUES (?, ?)", [(str(row), "x" * 200) for row in range(rows)])
    return database


def closed(path: Path, rows: int) -> None:
    """A file with so many rows, all of them in the file itself."""
    filled(path, rows)._connection.close()
    assert not Path(f"{path}-wal").exists()


def count(database: Database) -> int:
    return database.execute("SELECT COUNT(*) FROM rows")[0][0]


@pytest.mark.parametrize("content", [b"no database\n" * 900, b"\0" * 5000])
def test_a_file_that_is_no_database_is_moved_aside(content, tmp_path, caplog):
    path = tmp_path / "a.sqlite"
    path.write_bytes(content)
    assert count(Database(path, TABLES)) == 0
    (aside,) = tmp_path.glob("a.damaged-*.sqlite")
    assert aside.read_bytes() == content
    assert f"{path} was damaged" in caplog.text
    assert aside.name in caplog.text


def test_what_can_be_read_of_a_damaged_file_is_kept(tmp_path, caplog):
    path = tmp_path / "a.sqlite"
    closed(path, 5000)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = b"\xff" * 20_000
    path.write_bytes(content)
    database = Database(path, TABLES)
    # It opens; the damage is met on the way.
    found = {key for (key,) in database.execute("SELECT key FROM rows ORDER BY rowid")}
    assert 2000 < len(found) < 5000
    assert list(tmp_path.glob("a.damaged-*.sqlite"))
    assert "rows that could be read of it were kept" in caplog.text
    assert not database.damage()
    with database.transaction():
        database.execute("INSERT OR REPLACE INTO rows VALUES ('0', 'new')")
    assert count(database) == len(found)


def test_damage_that_is_met_inside_a_transaction_does_not_end_it(tmp_path):
    path = tmp_path / "a.sqlite"
    closed(path, 5000)
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    database = Database(path, TABLES)
    with database.transaction():
        database.execute("SELECT COUNT(value) FROM rows WHERE value LIKE '%y%'")
        database.execute("INSERT OR REPLACE INTO rows VALUES ('new', 'new')")
    assert database.execute("SELECT value FROM rows WHERE key = 'new'") == [("new",)]


def test_damage_is_told_by_the_check(tmp_path):
    path = tmp_path / "a.sqlite"
    closed(path, 5000)
    assert Database(path, TABLES).damage() == ""
    content = bytearray(path.read_bytes())
    content[200_000:204_096] = b"\xff" * 4096
    path.write_bytes(content)
    assert Database(path, TABLES).damage()


def _add(path: Path, name: int, start: Barrier) -> None:
    start.wait()
    database = Database(path, TABLES)
    for row in range(10):
        database.execute("INSERT INTO rows VALUES (?, 'x')", [f"{name} {row}"])


@pytest.mark.parametrize("content", [b"", b"no database\n" * 900])
def test_processes_that_meet_a_new_or_damaged_file_at_once_lose_nothing(content, tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_bytes(content)
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    processes = [context.Process(target=_add, args=(path, name, start)) for name in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert count(Database(path, TABLES)) == 40
    assert len(list(tmp_path.glob("a.damaged-*"))) == bool(content)


def test_a_full_disk_is_one_line_and_what_was_stored_stays(tmp_path):
    path = tmp_path / "a.sqlite"
    database = filled(path, 10)
    (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
    database._connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for row in range(1000):
            with database.transaction():
                database.execute("INSERT INTO rows VALUES (?, ?)", [f"more {row}", "x" * 500])

    with pytest.raises(DataError, match="no room is left on its disk; what it holds so far stays"):
        fill()
    stored = count(database)
    assert stored >= 10
    with sqlite3.connect(path) as again:
        assert again.execute("SELECT COUNT(*) FROM rows").fetchone()[0] == stored


def _write_until_it_ends(path: Path, told: multiprocessing.Queue) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    stored = 0
    try:
        database = Database(path, TABLES)
        for row in range(10_000):
            database.execute("INSERT INTO rows VALUES (?, ?)", [str(row), "x" * 1000])
            stored += 1
    except DataError as error:
        told.put((stored, str(error)))


def test_a_disk_that_takes_no_more_keeps_every_row_that_was_committed(tmp_path):
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=_write_until_it_ends, args=(tmp_path / "a.sqlite", told))
    process.start()
    stored, message = told.get(timeout=60)
    process.join()
    assert "\n" not in message
    assert f"cannot use {tmp_path}/a.sqlite" in message
    assert 10 < stored == count(Database(tmp_path / "a.sqlite", TABLES))


def test_what_is_no_file_is_said(tmp_path):
    (tmp_path / "a.sqlite").mkdir()
    with pytest.raises(DataError, match=r"cannot use .*a\.sqlite: unable to open database file"):
        Database(tmp_path / "a.sqlite", TABLES)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="another folder as RAZMETKA_CACHE"):
        Database(tmp_path / "file" / "a.sqlite", TABLES)
