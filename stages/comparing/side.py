"""One of two runs that are compared: what its files hold, as far as they are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.common.figures import read_figures
from stages.running.config import PARAMS, read
from stages.running.errors import DataError
from stages.running.io import DATA, METRICS, read_json, read_table

SCORES = METRICS / "scores.csv"
SUMMARY = METRICS / "summary.json"
GAINS = METRICS / "gain.csv"
ROWS = DATA / "measures/rows.json"
PREDICTIONS = DATA / "evaluate/predictions.csv"
# What the students learn from.
LABELS = DATA / "correct/labels.parquet"
FILES = (PARAMS, SCORES, SUMMARY, GAINS, ROWS, PREDICTIONS, LABELS)


@dataclass(frozen=True)
class Side:
    """A run; what it lacks is empty or None.

    `scores` and `gains` are tables of `scoring.scores.Score` and `scoring.gain.Gain`, `predictions` has the columns of
    `scoring.predictions.predictions`, `labels` those of `data/correct/labels.parquet`, `answers` id, text and label;
    `rows`: train rows by provenance and label.
    """

    settings: Mapping[str, Any]
    scores: pd.DataFrame
    summary: Mapping[str, float]
    gains: pd.DataFrame | None
    rows: Mapping[str, Mapping[str, int]]
    predictions: pd.DataFrame | None
    labels: pd.DataFrame | None
    answers: pd.DataFrame | None


def answers_file(folder: Path, name: str) -> Path:
    """Where the run in `folder` has people's answers; errors call it `name`.

    Raises:
        DataError: its settings do not say; they are of another version of the code.
    """
    try:
        return Path(read(folder / PARAMS)["human"]["answers"])
    except KeyError as error:
        raise DataError(
            f"{PARAMS} of {name} has no human.answers: an older version of the code made that run; name a later one"
        ) from error


def read_side(folder: Path, name: str) -> Side:
    """Read a run from its files below `folder`; errors call it `name`.

    Raises:
        DataError: there are no scores, so there was no run; or as `answers_file`.
    """
    if not (folder / SCORES).is_file():
        raise DataError(f"{name} has no {SCORES}: no run to compare; `make repro` makes one, and Git keeps its figures")

    def table(path: Path) -> pd.DataFrame | None:
        return read_table(folder / path) if (folder / path).is_file() else None

    def mapping(path: Path) -> Mapping[str, Any]:
        return read_json(folder / path) if (folder / path).is_file() else {}

    named = answers_file(folder, name)
    answers = table(named)
    if answers is not None and not {"id", "text", "label"} <= set(answers.columns):
        raise DataError(f"{named} of {name} has no columns id, text and label, parted by commas")
    return Side(
        settings=read(folder / PARAMS),
        scores=read_figures(folder / SCORES),
        summary=mapping(SUMMARY),
        gains=read_figures(folder / GAINS) if (folder / GAINS).is_file() else None,
        rows=mapping(ROWS),
        predictions=table(PREDICTIONS),
        labels=table(LABELS),
        answers=answers,
    )
