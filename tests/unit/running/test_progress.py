"""What long work says where nobody watches a bar."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
import time

import pytest

from stages.running.progress import Progress
from stages.running.work import counted

SCRIPT = """
import sys, time
from tqdm.auto import tqdm
from stages.running import progress
from stages.running.errors import run_stage

def main():
    progress.EVERY = 0.2
    for _ in tqdm(range(3), desc="a library's own"):
        pass
    with progress.Progress("label", 30, "answers", known=20) as shown:
        time.sleep(0.5)
        for _ in range(10):
            shown.update(note="2 MB under way")
            time.sleep(0.05)
    with progress.Progress("embed", 3, "texts", known=3):
        pass
    with progress.Progress("ask", 2, "answers"), progress.Progress("start the engine"):
        time.sleep(0.3)
    with progress.Progress("encode", 8, "texts") as shown:
        shown.update(2)
        shown.update(2)
        raise KeyboardInterrupt

run_stage(main)
"""


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """What a stage writes on a standard error that is a pipe."""
    finished = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert finished.returncode == 130
    assert "\r" not in finished.stderr
    assert "a library's own" not in finished.stderr
    return [line.removeprefix("INFO stages.running.progress: ") for line in finished.stderr.splitlines()]


def test_a_loop_says_what_is_to_do_how_far_it_is_and_what_it_took(lines: list[str]) -> None:
    told = [line for line in lines if line.startswith("label")]
    assert told[0] == "label: 30 answers, 20 known"
    # No answer has come yet.
    assert re.fullmatch(r"label: 20 of 30 \(67%\), [\d.]+ s so far", told[1])
    assert re.fullmatch(
        r"label: \d\d of 30 \(\d+%\), [\d.]+ answers/s, about \d s left, 2 MB under way, [\d.]+ s so far", told[-2]
    )
    # The rate is that of the fresh answers after the first, not of 30 in the whole time.
    end = re.fullmatch(r"label: 10 answers in ([\d.]+) s, ([\d.]+) answers/s", told[-1])
    assert end
    assert float(end[1]) >= 1.0
    assert 1 < float(end[2]) < 20


def test_known_work_is_told_in_one_line(lines: list[str]) -> None:
    assert [line for line in lines if line.startswith("embed")] == ["embed: 3 texts, all known"]


def test_work_in_one_piece_says_that_it_goes_on(lines: list[str]) -> None:
    told = [line for line in lines if line.startswith("start the engine")]
    assert told[0] == "start the engine …"
    assert re.fullmatch(r"start the engine: [\d.]+ s so far", told[1])
    assert re.fullmatch(r"start the engine: [\d.]+ s", told[-1])
    # What waits for it is silent meanwhile.
    assert [line for line in lines if line.startswith("ask")] == ["ask: 2 answers, 0 known"]


def test_an_interruption_says_where(lines: list[str]) -> None:
    assert any(re.match(r"encode, 4 of 8 \(50%\).*: stopped after [\d.]+ s", line) for line in lines)


def test_a_terminal_gets_a_bar() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        # The terminal ends with an error once nobody writes on it.
        while process.poll() is None or seen == b"":
            try:
                seen += os.read(ours, 65536)
            except OSError:
                break
    os.close(ours)
    shown = seen.decode()
    assert re.search(r"label: 100%\|█+\| 30/30 .*2 MB under way", shown)
    assert "answers, 20 known" not in shown


def test_fresh_and_known_work_are_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pages", "known pages"):
        monkeypatch.setitem(counted, name, 0.0)
    with Progress("read", 5, "pages", known=2) as progress:
        for _ in range(3):
            progress.update()
            time.sleep(0.001)
    assert (counted["pages"], counted["known pages"]) == (3, 2)
