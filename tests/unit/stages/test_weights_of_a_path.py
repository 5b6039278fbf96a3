"""Weights on this machine are an input of their stage, for real DVC."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.composition.compose import compose
from tests.conftest import ROOT


def write(folder: Path, weights: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)


def repro(folder: Path) -> str:
    command = [sys.executable, "-m", "dvc", "repro", "models@teacher"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("absolute", [False, True])
def test_overwritten_weights_are_taken_anew(absolute: bool, tmp_path: Path) -> None:
    for name in ("stages", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc")
    (tmp_path / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    weights = tmp_path / "data/tiny/qwen3"
    path = [f"models.teacher.path={weights}"] if absolute else []
    compose(tmp_path / "params.yaml", ["experiment=tiny", *path], ROOT / "conf")
    models = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["models"]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"models": models}}))
    write(weights, b"first")
    (tmp_path / "data/check").mkdir()
    assert "Running stage" in repro(tmp_path)
    assert "Running stage" not in repro(tmp_path)
    # They are the user's own: the copy is another file, and DVC does not write-protect them.
    write(weights, b"second")
    assert (tmp_path / "data/models/teacher/model.safetensors").read_bytes() == b"first"
    assert "Running stage" in repro(tmp_path)
    assert (tmp_path / "data/models/teacher/model.safetensors").read_bytes() == b"second"
