"""What a finished run left behind, read from its files."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from stages.common.config import Params
from stages.common.errors import DataError
from stages.common.io import read_json, read_table
from stages.common.schema import ANALYSE, EVALUATE, METRICS, SYNTHETIC_STEPS
from stages.common.spreadsheet import unescape_formulas

PREDICTIONS = EVALUATE / "predictions.csv"
POINTS = METRICS / "pictures" / "points.csv"
CODE = ("stages", "conf", "dvc.yaml", "params.yaml")
REQUIRED = ("ingest", "label", "dataset", "evaluate")
OPTIONAL = ("per_class", "synthetic_gain", "benchmark", *(f"generate_{step}" for step in SYNTHETIC_STEPS))


@dataclass(frozen=True)
class Run:
    """Settings and results of a run; what it did not make is empty.

    `metrics` maps the name of a file in `metrics/` to its content; `predictions` has the columns of
    `report.predictions`, `points` those of `pictures.write_points`, `plan` those of `plan.imbalance_plan`.
    """

    params: Params
    metrics: Mapping[str, Any]
    predictions: pd.DataFrame
    points: pd.DataFrame = field(default_factory=pd.DataFrame)
    plan: pd.DataFrame = field(default_factory=pd.DataFrame)
    commit: str = ""


def read_run(params: Params) -> Run:
    """Read the files of the last run.

    Raises:
        DataError: a file is missing that every run leaves.
    """
    for path in (*(METRICS / f"{name}.json" for name in REQUIRED), PREDICTIONS):
        if not path.is_file():
            raise DataError(f"{path} does not exist; run `make repro`")
    names = [name for name in (*REQUIRED, *OPTIONAL) if (METRICS / f"{name}.json").is_file()]
    return Run(
        params=params,
        metrics={name: read_json(METRICS / f"{name}.json") for name in names},
        predictions=_read_texts(PREDICTIONS),
        points=_read_texts(POINTS),
        plan=read_table(ANALYSE / "plan.csv") if (ANALYSE / "plan.csv").is_file() else pd.DataFrame(),
        commit=_commit(),
    )


def _read_texts(path: Path) -> pd.DataFrame:
    """A table without the apostrophes that keep a spreadsheet from taking a text for a formula."""
    if not path.is_file():
        return pd.DataFrame()
    frame = read_table(path)
    return frame.assign(text=unescape_formulas(frame["text"]))


def _commit() -> str:
    """The commit whose code made the run, or "" outside of Git."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return f"{head} with uncommitted changes" if head and _git("status", "--porcelain", "--", *CODE) else head


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
