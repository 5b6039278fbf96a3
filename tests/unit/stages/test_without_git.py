"""An unpacked ZIP has no Git: DVC works all the same, and nothing names a commit that is not this project's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.reporting.run import _commit
from tests.conftest import ROOT


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """What of this checkout a stage needs."""
    for name in ("stages", "conf", "annotations", "data/raw"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".dvc").mkdir()
    for name in ("Makefile", "dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # Without what make tells those that run below it: `make test` may have started this.
    given = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")}
    environment = given | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_dvc_works_and_one_line_says_what_does_not(unpacked: Path) -> None:
    assert run(unpacked, "dvc", "status", "check").returncode != 0
    told = run(unpacked, "make", ".dvc/config.local").stdout
    assert told.startswith("No Git here: all works but what compares or queues runs (dvc exp, dvc metrics diff).")
    assert len(told.splitlines()) == 1
    assert run(unpacked, "make", ".dvc/config.local").stdout == "make: '.dvc/config.local' is up to date.\n"
    assert run(unpacked, "dvc", "repro", "check").returncode == 0
    assert "up to date" in run(unpacked, "dvc", "status", "check").stdout


def test_it_is_asked_for_before_anything_is_fetched() -> None:
    planned = run(ROOT, "make", "--dry-run", "--always-make", "repro").stdout
    assert 0 <= planned.index("no_scm") < planned.index("pip install")


@pytest.mark.parametrize("known", [True, False])
def test_a_repository_around_it_counts_if_it_knows_it(
    known: bool, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = unpacked / "around"
    around.mkdir()
    inside = around / "inside"
    shutil.copytree(unpacked, inside, ignore=shutil.ignore_patterns("around"))
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run(around, "git", "init", "--quiet")
    run(around, "git", "add", *(["inside/dvc.yaml"] if known else ["--intent-to-add", "inside/Makefile"]))
    assert run(around, "git", *author, "commit", "--quiet", "--allow-empty", "-m", "x").returncode == 0
    run(inside, "make", ".dvc/config.local")
    assert (inside / ".dvc/config.local").exists() != known
    monkeypatch.chdir(inside)
    assert bool(_commit()) == known


def test_a_clone_is_left_as_it_is(unpacked: Path) -> None:
    run(unpacked, "git", "init", "--quiet")
    assert run(unpacked, "make", ".dvc/config.local").stdout == ""
    assert not (unpacked / ".dvc/config.local").exists()


@pytest.mark.parametrize(
    "left",
    [
        "    deps:\n    - path:",
        pytest.param("    deps:\n    - path: [", marks=pytest.mark.slow),
        pytest.param("    deps:\n    - pa", marks=pytest.mark.slow),
    ],
)
def test_half_of_what_dvc_writes_stops_no_rerun(left: str, unpacked: Path) -> None:
    run(unpacked, "make", ".dvc/config.local")
    check = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["check"]
    (unpacked / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"check": check}}))
    half = f"schema: '2.0'\nstages:\n  check:\n    cmd: python -m stages.check\n{left}"
    (unpacked / "dvc.lock").write_text(half)
    (unpacked / ".dvc/tmp").mkdir()
    (unpacked / ".dvc/tmp/rwlock").write_text('{"write": {"/home')
    told = run(unpacked, "make", "--old-file=.venv/.ready", "repro").stdout
    assert "dvc.lock was cut off: moved to .dvc/tmp/" in told
    assert ".dvc/tmp/rwlock was left by a DVC that was killed: removed" in told
    assert (unpacked / ".dvc/tmp/dvc.lock").read_text() == half
    assert "up to date" in run(unpacked, "dvc", "status", "check").stdout
    assert "cut off" not in run(unpacked, "make", "--old-file=.venv/.ready", "repro").stdout
