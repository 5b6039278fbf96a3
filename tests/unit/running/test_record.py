"""What stages took is kept: of those that end, whatever becomes of the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.running.record import RECORD, duration, entries

SCRIPT = """
import sys, time
from stages.running.errors import DataError, run_stage
from stages.running.work import counted

def main():
    counted["answers"] += 3
    print("begun", flush=True)
    kind = sys.argv[1]
    if kind == "busy":
        end = time.process_time() + 0.3
        while time.process_time() < end:
            bytearray(300_000_000)
    elif kind == "wrong":
        raise DataError("no such column")
    elif kind == "endless":
        time.sleep(60)

run_stage(main)
"""


def start(folder: Path, kind: str, stage: str | None) -> subprocess.Popen[str]:
    environment = os.environ | ({"DVC_STAGE": stage} if stage else {}) | {"PYTHONPATH": os.getcwd()}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, kind], cwd=folder, env=environment, text=True, **pipes)


def run(folder: Path, kind: str, stage: str | None = "label") -> str:
    return start(folder, kind, stage).communicate()[1]


def test_a_stage_says_and_records_what_it_took(tmp_path: Path) -> None:
    before = time.time()
    told = run(tmp_path, "busy")
    (entry,) = entries(before - 2, tmp_path / RECORD)
    assert entry.stage == "label"
    assert entry.succeeded
    assert 0.3 <= entry.processor_seconds < 20
    assert 0.3 <= entry.seconds < time.time() - before + 2
    assert 0.3 < entry.peak_gb < 2
    assert entry.done == {"answers": 3}
    assert f"label: {entry.resources()}; 3 answers" in told
    assert entries(time.time(), tmp_path / RECORD) == []


def test_a_stage_that_fails_is_recorded_as_such(tmp_path: Path) -> None:
    told = run(tmp_path, "wrong")
    assert told.splitlines()[-1] == "DataError: no such column"
    (entry,) = entries(path=tmp_path / RECORD)
    assert not entry.succeeded


def test_the_last_run_of_each_stage_counts(tmp_path: Path) -> None:
    run(tmp_path, "wrong", "label")
    run(tmp_path, "quick", "embed")
    run(tmp_path, "quick", "label")
    found = entries(path=tmp_path / RECORD)
    assert [(entry.stage, entry.succeeded) for entry in found] == [("embed", True), ("label", True)]


def test_kill_9_leaves_the_record_of_the_others(tmp_path: Path) -> None:
    run(tmp_path, "quick", "ingest")
    killed = start(tmp_path, "endless", "label")
    assert killed.stdout is not None
    assert killed.stdout.readline() == "begun\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    run(tmp_path, "quick", "embed")
    assert [entry.stage for entry in entries(path=tmp_path / RECORD)] == ["ingest", "embed"]


def test_a_command_records_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, "quick", stage=None) == ""
    assert entries(path=tmp_path / RECORD) == []


@pytest.mark.parametrize(
    ("seconds", "exact", "rough"),
    [(0.42, "0.4 s", "0 s"), (31.2, "31 s", "31 s"), (186, "3 min 6 s", "3 min"), (3900, "1 h 5 min", "1 h 5 min")],
)
def test_durations_in_words(seconds: float, exact: str, rough: str) -> None:
    assert (duration(seconds), duration(seconds, rough=True)) == (exact, rough)
