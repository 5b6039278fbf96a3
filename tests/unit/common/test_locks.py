"""One process at a time in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stages.common.locks import locked
from tests.conftest import ROOT

# Says when it is in; once it is told a line, it writes that into the folder and lets go.
HOLDER = """
import sys
from pathlib import Path
from stages.common.locks import locked

folder = Path(sys.argv[1])
with locked(folder):
    print("in", flush=True)
    said = sys.stdin.readline()
    with (folder / "order").open("a") as order:
        order.write(said)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_whoever_comes_second_waits_for_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    with holder(folder) as first:
        assert first.stdout.readline() == "in\n"
        with holder(folder) as second:
            second.stdin.write("second\n")
            second.stdin.flush()
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(0.5)
            first.communicate("first\n")
            assert second.communicate()[0] == "in\n"
    assert (folder / "order").read_text() == "first\nsecond\n"
    with locked(folder):
        assert (folder / "order").exists()


def test_a_killed_process_lets_go_and_other_folders_are_free(tmp_path: Path) -> None:
    with holder(tmp_path / "one") as first:
        assert first.stdout.readline() == "in\n"
        with locked(tmp_path / "another"):
            first.kill()
        first.wait()
        with locked(tmp_path / "one"):
            assert not (tmp_path / "one/order").exists()


def test_what_fails_inside_lets_go(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), locked(tmp_path):
            raise KeyError
