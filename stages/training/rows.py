"""The labelled dataset: its splits, the rows a variant learns from, and their encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from pyarrow import parquet

from stages.common.arrays import FloatArray, IntArray
from stages.common.manifest import check_manifest
from stages.common.provenances import HUMAN, PROVENANCES
from stages.running.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


def load_rows(folder: Path, split: str, label_names: Sequence[str]) -> Dataset:
    """Read one split of the dataset that stage `dataset` wrote.

    Raises:
        DataError: a file of the dataset is missing, cut or not the one that was written; or the labels are not
            `label_names` in that order.
    """
    from datasets import Dataset
    from datasets.table import InMemoryTable

    file = folder / f"{split}.parquet"
    check_manifest(folder, DataError, "run `dvc repro dataset`")
    # Read here and not by `load_dataset`, which copies what it reads into a cache of its own.
    rows = Dataset(InMemoryTable(parquet.read_table(file)))
    found = getattr(rows.features.get("label"), "names", None)
    if found != list(label_names):
        raise DataError(f"{file} has the labels {found}, not those of labels.names; run `dvc repro dataset`")
    return rows


def checked_rows(checked: pd.DataFrame, like: Dataset) -> Dataset:
    """Human-checked rows (as of `common.gold`) with the columns that `encode` reads, and the label names of `like`.

    A person's label has all of the probability.
    """
    from datasets import Dataset, Features

    label = like.features["label"]
    numbers = label.str2int(checked["label"].to_list())
    return Dataset.from_dict(
        {
            "text": checked["text"].to_list(),
            "label": numbers,
            "soft_labels": np.eye(label.num_classes)[numbers].tolist(),
            "weight": [1.0] * len(checked),
        },
        features=Features({name: like.features[name] for name in ("text", "label", "soft_labels", "weight")}),
    )


@dataclass(frozen=True)
class Calibration:
    """What a student's confidence is fitted to: `rows`, of them `checked` of `data.gold.calibration` and `answered`.

    Where there are neither, they are the validation rows, whose labels models gave.
    """

    rows: Dataset
    checked: int
    answered: int


# With fewer answers to validation reviews, and no checked rows, one more or less would move the temperature.
FEWEST_ANSWERED = 20


def calibration_rows(checked: pd.DataFrame, validation: Dataset) -> Calibration:
    """The checked rows (as of `common.gold`) and the answered ones of `validation`; all of `validation` if too few."""
    from datasets import concatenate_datasets

    answered = validation.select(np.flatnonzero(np.isin(validation["provenance"][:], [HUMAN])))
    if checked.empty and len(answered) < FEWEST_ANSWERED:
        return Calibration(validation, 0, 0)
    people = checked_rows(checked, validation)
    both = concatenate_datasets([people, answered.select_columns(people.column_names)])
    return Calibration(both, len(checked), len(answered))


# What students before `human` learn of a row stands in columns of these names after `machine_`.
CORRECTED = ("label", "soft_labels", "weight")


def variant_rows(train: Dataset, variant: str) -> Dataset:
    """Train rows of the provenance steps up to and including `variant`; of answered reviews in any case.

    Before `human`, all rows are labelled as models alone did.

    Raises:
        DataError: no row is left.
    """
    steps = PROVENANCES[: PROVENANCES.index(variant) + 1]
    chosen = np.flatnonzero(np.isin(train["provenance"][:], [*steps, HUMAN]))
    if not len(chosen):
        raise DataError(f"the dataset has no train rows of {', '.join(steps)}; nothing to train {variant!r} on")
    rows = train.select(chosen)
    if HUMAN in steps:
        return rows
    return rows.remove_columns(list(CORRECTED)).rename_columns({f"machine_{name}": name for name in CORRECTED})


def label_counts(rows: Dataset) -> list[int]:
    """Rows of each label, in label order."""
    labels = len(rows.features["label"].names)
    counts = np.bincount(np.asarray(rows["label"][:], dtype=np.int64), minlength=labels)
    return [int(count) for count in counts]


@dataclass(frozen=True)
class Targets:
    """What rows shall be answered: labels (rows,), distributions (rows, labels), and what a row counts for (rows,)."""

    labels: IntArray
    soft_labels: FloatArray
    weights: FloatArray

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """All three, in the order in which a loss takes them."""
        labels = torch.from_numpy(self.labels)
        return labels, torch.from_numpy(self.soft_labels).float(), torch.from_numpy(self.weights).float()


# The columns of encoded rows that hold them.
TARGETS = tuple(field.name for field in fields(Targets))


def targets(rows: Dataset, confidence_weighting: bool = False) -> Targets:
    """The targets of `rows`.

    With `confidence_weighting` a row's weight is multiplied by the soft-label probability of its label.
    """
    weights = np.asarray(rows["weight"][:], dtype=np.float64)
    soft_labels = np.asarray(rows["soft_labels"][:], dtype=np.float64)
    labels = np.asarray(rows["label"][:], dtype=np.int64)
    if confidence_weighting:
        weights = weights * soft_labels[np.arange(len(rows)), labels]
    return Targets(labels, soft_labels, weights)


def encode(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_tokens: int, confidence_weighting: bool) -> Dataset:
    """Token ids and targets; columns input_ids, attention_mask, labels, soft_labels, weights."""
    from datasets import Dataset

    tokens = tokenizer(rows["text"][:], truncation=True, max_length=max_tokens)
    return Dataset.from_dict({**tokens, **vars(targets(rows, confidence_weighting))})
