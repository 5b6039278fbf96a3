"""What a finished run left behind, read from its files."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

from stages.common.figures import read_figures
from stages.common.labels import Labels
from stages.common.provenances import SYNTHETIC_STEPS
from stages.curation.config import Curate
from stages.distilling.config import Distil
from stages.ingestion.config import Data
from stages.labelling.config import Label, Prompt
from stages.running.config import section
from stages.running.errors import DataError
from stages.running.io import DATA, METRICS, read_json, read_table
from stages.scoring.config import Evaluate
from stages.scoring.gain import Gain
from stages.scoring.scores import ClassScore
from stages.synthesis.plan import Plan
from stages.training.config import Train
from stages.weights.config import Model

PREDICTIONS = DATA / "evaluate/predictions.csv"
POINTS = METRICS / "pictures" / "points.csv"
CODE = ("stages", "conf", "dvc.yaml", "params.yaml")


@section
class Params:
    """The settings that the page and the cards show."""

    seed: int
    labels: Labels
    data: Data
    models: dict[str, Model]
    prompt: Prompt
    label: Label
    curate: Curate
    plan: Plan
    distil: Distil
    train: Train
    evaluate: Evaluate


@dataclass(frozen=True)
class Run:
    """Settings and results of a run; what it did not make is empty.

    `scores`, `gains` and `class_scores` are tables of `scoring.scores.Score`, `scoring.gain.Gain` and
    `scoring.scores.ClassScore`; `predictions` has the columns of `scoring.predictions.predictions`, `points` those of
    `drawing.pictures.write_points`, `plan` those of `synthesis.plan.imbalance_plan`. `intake`: counts of stage
    `ingest`; `labelling` and `steps` (by step): `measures.labels.Labelling`, `measures.steps.StepMeasures`, as
    mappings; `rows`: train rows by provenance and label; `answers`:
    `correcting.matching.Matched.counts`; `latency`: a `latency.timing.Latency`, as a mapping;
    `export`: the file in use and an `exporting.gate.Gate`, as a mapping.
    """

    params: Params
    scores: pd.DataFrame
    predictions: pd.DataFrame
    intake: Mapping[str, Any]
    labelling: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, int]]
    gains: pd.DataFrame = field(default_factory=lambda: no_records(Gain))
    class_scores: pd.DataFrame = field(default_factory=lambda: no_records(ClassScore))
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: Mapping[str, int] = field(default_factory=dict)
    latency: Mapping[str, Any] = field(default_factory=dict)
    export: Mapping[str, Any] = field(default_factory=dict)
    points: pd.DataFrame = field(default_factory=pd.DataFrame)
    plan: pd.DataFrame = field(default_factory=pd.DataFrame)
    commit: str = ""


def no_records(of: type[Any]) -> pd.DataFrame:
    """A table for records of a dataclass, without any."""
    return pd.DataFrame(columns=[column.name for column in fields(of)])


def read_run(params: Params) -> Run:
    """Read the files of the last run.

    Raises:
        DataError: a file is missing that every run leaves.
    """
    needed = [METRICS / "scores.csv", PREDICTIONS, DATA / "ingest/counts.json", DATA / "measures/labels.json"]
    for path in needed:
        if not path.is_file():
            raise DataError(f"{path} does not exist; run `make repro`")
    return Run(
        params=params,
        scores=read_figures(METRICS / "scores.csv"),
        predictions=read_table(PREDICTIONS),
        intake=read_json(DATA / "ingest/counts.json"),
        labelling=read_json(DATA / "measures/labels.json"),
        rows=read_json(DATA / "measures/rows.json"),
        gains=read_figures(METRICS / "gain.csv"),
        class_scores=read_figures(DATA / "evaluate/class_scores.csv"),
        steps={step: read_json(DATA / f"measures/{step}.json") for step in SYNTHETIC_STEPS},
        answers=read_json(DATA / "measures/answers.json"),
        latency=read_json(DATA / "latency/latency.json"),
        export=read_json(DATA / "export/gate.json"),
        points=read_table(POINTS) if POINTS.is_file() else pd.DataFrame(),
        plan=read_table(DATA / "analyse/plan.csv"),
        commit=_commit(),
    )


def _commit() -> str:
    """The commit whose code made the run, or "" outside of Git, also where a folder around this one is in Git."""
    if not _git("ls-files", "dvc.yaml"):
        return ""
    head = _git("rev-parse", "--short=12", "HEAD")
    return f"{head} with uncommitted changes" if head and _git("status", "--porcelain", "--", *CODE) else head


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
