"""The tables that pass between stages: column names, shapes and checks.

Rows are identified by `id`, the first 16 hex digits of the SHA-256 of their cleaned text, so that a row keeps
its identity, its split and its cached answers when the file around it changes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pa

FloatArray = npt.NDArray[np.floating]

# Where each stage leaves its tables.
INGEST = Path("data/ingest")
EMBED = Path("data/embed")
LABEL = Path("data/label")
CURATE = Path("data/curate")
ANALYSE = Path("data/analyse")
SYNTHETIC = Path("data/synthetic")
DATASET = Path("data/dataset")
MODELS = Path("data/models")
STUDENTS = Path("data/students")
EVALUATE = Path("data/evaluate")
METRICS = Path("metrics")

SPLITS = ("train", "validation", "test")

# Where a training row comes from; `written` rows are the seeds of the synthesis, written for their category.
# Students are cumulative: one called `base` saw real, written and base rows; the final one saw all.
SYNTHETIC_STEPS = ("base", "paraphrase", "style")
PROVENANCES = ("real", "written", *SYNTHETIC_STEPS)
FINAL = PROVENANCES[-1]

REVIEWS = pa.DataFrameSchema(
    {
        "id": pa.Column(str, unique=True),
        "row": pa.Column(int, pa.Check.ge(0)),
        "text": pa.Column(str, pa.Check.str_length(min_value=1)),
        "split": pa.Column(str, pa.Check.isin(SPLITS)),
    },
    strict=True,
)

GOLD = pa.DataFrameSchema(
    {
        "gold_set": pa.Column(str),
        "id": pa.Column(str),
        "row": pa.Column(int, pa.Check.ge(0)),
        "text": pa.Column(str, pa.Check.str_length(min_value=1)),
        "label": pa.Column(str),
        "stratum": pa.Column(str),
        "flag": pa.Column(str),
    },
    strict=True,
    unique=["gold_set", "id"],
)


def text_id(text: str) -> str:
    """Identity of a cleaned text: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def letters(text: str) -> str:
    """`text` without case, punctuation and spaces: two texts that agree in it are the same review."""
    return "".join(character for character in text.casefold() if character.isalnum())


def probability_matrix(frame: pd.DataFrame, column: str = "probabilities") -> FloatArray:
    """Stack a column of distributions into an array of shape (rows, labels)."""
    return np.stack([np.asarray(row, dtype=np.float64) for row in frame[column]]) if len(frame) else np.empty((0, 0))
