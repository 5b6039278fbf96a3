"""What a killed DVC leaves is put away; what a running one needs stays."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import psutil
import pytest

from stages import unlock

GONE = 2**22 + 1  # above every process number of Linux


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where DVC has run, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(unlock, "SECONDS_TO_WRITE", 0.01)
    unlock.TEMPORARY.mkdir(parents=True)
    return tmp_path


def locked_by(process: int) -> str:
    holder = {"pid": process, "cmd": "dvc repro"}
    return json.dumps({"write": {"/data/train": holder}, "read": {"/data/dataset": [holder]}})


@pytest.mark.parametrize(
    "left",
    ["", "{", locked_by(GONE)[:-5], "[]", '{"write": {"/data": 7}}', locked_by(GONE)],
)
def test_what_a_killed_one_left_is_removed(left: str, capsys: pytest.CaptureFixture[str]) -> None:
    unlock.RWLOCK.write_text(left)
    unlock.main()
    assert not unlock.RWLOCK.exists()
    assert "rwlock was left by a DVC that was killed" in capsys.readouterr().out


def test_what_one_who_runs_has_written_stays(capsys: pytest.CaptureFixture[str]) -> None:
    unlock.RWLOCK.write_text(locked_by(os.getpid()))
    unlock.main()
    assert unlock.RWLOCK.read_text() == locked_by(os.getpid())
    assert capsys.readouterr().out == ""


def test_a_number_that_another_process_has_by_now_holds_nothing() -> None:
    unlock.RWLOCK.write_text(locked_by(os.getpid()))
    before = psutil.Process().create_time() - 10
    os.utime(unlock.RWLOCK, (before, before))
    unlock.main()
    assert not unlock.RWLOCK.exists()


def test_one_that_ended_and_that_nobody_waited_for_holds_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        unlock.RWLOCK.write_text(locked_by(process.pid))
        unlock.main()
    assert not unlock.RWLOCK.exists()


@pytest.mark.parametrize("left", ["{}", '{"write": {}, "read": {}}'])
def test_a_file_without_holders_stays(left: str, capsys: pytest.CaptureFixture[str]) -> None:
    unlock.RWLOCK.write_text(left)
    unlock.main()
    assert unlock.RWLOCK.read_text() == left
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("left", [b"schema: '2.0'\nstages:\n  check:\n    cm", "stages: {а".encode()[:-1]])
def test_a_lock_that_was_cut_off_is_moved(left: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    unlock.LOCK.write_bytes(left)
    unlock.main()
    assert not unlock.LOCK.exists()
    assert (unlock.TEMPORARY / "dvc.lock").read_bytes() == left
    assert capsys.readouterr().out == "dvc.lock was cut off: moved to .dvc/tmp/\n"


def test_a_whole_lock_stays() -> None:
    whole = "schema: '2.0'\nstages:\n  check:\n    cmd: python -m stages.check\n"
    unlock.LOCK.write_text(whole)
    unlock.main()
    assert unlock.LOCK.read_text() == whole


def test_nothing_is_written_where_nothing_was_left(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    unlock.main()
    assert sorted(folder.rglob("*")) == before
