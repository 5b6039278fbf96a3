"""Two tiny runs in a real repository of Git and DVC: one committed as `before`, one in the working tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stages.running.io import write_json, write_table
from stages.scoring.gain import MACRO_F1, Gain
from stages.scoring.records import as_table
from stages.scoring.scores import Score
from tests.unit.reporting.conftest import ATTACK

PIPELINE = """
stages:
  report:
    cmd: "true"
  all:
    cmd: "true"
    outs:
      - data/evaluate
      - data/correct
      - data/measures
"""
DVC = [sys.executable, "-m", "dvc"]


def run(*command: str, folder: Path) -> None:
    """Run a command in `folder`; fails if it does."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"}
    )
    assert done.returncode == 0, done.stderr


def write_run(
    folder: Path, macro_f1: float, predicted: list[str], labels: list[str], bootstrap: int = 200, teachers: int = 4
) -> None:
    """What a run leaves that is compared; four checked reviews and three labelled ones, the first of each hostile."""
    scores = [
        Score("main", who, "all", rows, *(macro_f1, macro_f1 - 0.1, macro_f1 + 0.1) * 3, 0.1, 0.05)
        for who, rows in (("style", 4), ("teacher", teachers))
    ]
    write_table(folder / "metrics/scores.csv", as_table(scores, Score))
    write_table(folder / "metrics/gain.csv", as_table([Gain("main", "style", "real", MACRO_F1, 0.1, 0, 0.2)], Gain))
    write_json(folder / "metrics/summary.json", {"macro_f1": macro_f1})
    write_json(folder / "data/measures/rows.json", {"real": {"обувь": 2, "одежда": 1}, "style": {"обувь": bootstrap}})
    checked = pd.DataFrame(
        {"gold_set": "main", "id": ["a", "b", "c", "d"], "text": [ATTACK, "туфли", "кофта", "заказ"]}
    )
    checked = checked.assign(actual=["обувь", "обувь", "одежда", ""], predicted=predicted, confidence=0.8, teacher="")
    write_table(folder / "data/evaluate/predictions.csv", checked)
    reviews = pd.DataFrame({"id": ["x", "y", "z"], "text": [ATTACK, "кеды", "юбка"], "label": labels})
    reviews = reviews.assign(confidence=[0.5, 0.6, 0.7], split="train")
    write_table(folder / "data/correct/labels.parquet", reviews.assign(provenance="real"))
    (folder / "params.yaml").write_text(
        f"seed: 1\nlabels: {{names: [обувь, одежда]}}\nevaluate: {{bootstrap: {bootstrap}, coverage: 0.9}}\n"
        "human: {answers: annotations/answers.csv, weight: 5.0}\n",
        encoding="utf-8",
    )


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, made once."""
    folder = tmp_path_factory.mktemp("compared")
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.email", "a@b.c"],
        ["git", "config", "user.name", "a"],
    ):
        run(*command, folder=folder)
    run(*DVC, "init", "-q", folder=folder)
    (folder / "dvc.yaml").write_text(PIPELINE)
    run("git", "add", "-A", folder=folder)
    run("git", "commit", "-qm", "no run", folder=folder)
    run("git", "tag", "nothing", folder=folder)
    answers = pd.DataFrame({"id": ["x"], "text": [ATTACK], "label": ["обувь"], "drawn": ["random"]})
    write_table(folder / "annotations/answers.csv", answers)
    write_run(folder, 0.5, ["одежда", "обувь", "одежда", "обувь"], ["обувь", "обувь", "одежда"])
    run(*DVC, "commit", "-q", "--force", folder=folder)
    run("git", "add", "-A", folder=folder)
    run("git", "commit", "-qm", "a run", folder=folder)
    run("git", "tag", "before", folder=folder)
    write_run(folder, 0.75, ["обувь", "обувь", "обувь", "одежда"], ["одежда", "обувь", "одежда"], 300, teachers=2)
    more = pd.DataFrame({"id": ["y"], "text": ["=кеды"], "label": ["обувь"], "drawn": ["mixed"]})
    write_table(folder / "annotations/answers.csv", pd.concat([answers, more]))
    return folder


@pytest.fixture
def repository(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working folder."""
    folder = shutil.copytree(template, tmp_path / "repository", symlinks=True)
    monkeypatch.chdir(folder)
    return folder
