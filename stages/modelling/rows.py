"""The labelled dataset: its splits, the rows a variant learns from, and their encoding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stages.common.errors import DataError
from stages.common.schema import PROVENANCES, SPLITS

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase


def load_splits(folder: Path, label_names: Sequence[str]) -> DatasetDict:
    """Read the dataset that stage `dataset` wrote.

    Raises:
        DataError: the folder is missing or incomplete, or its labels are not `label_names` in that order.
    """
    from datasets import load_from_disk

    if not (folder / "dataset_dict.json").is_file():
        raise DataError(f"{folder} is not a dataset folder; run `dvc repro dataset`")
    splits = load_from_disk(str(folder))
    missing = [split for split in SPLITS if split not in splits]
    if missing:
        raise DataError(f"{folder} lacks the splits {', '.join(missing)}; run `dvc repro dataset`")
    found = splits["train"].features["label"].names
    if found != list(label_names):
        raise DataError(f"{folder} has the labels {found}, not those of labels.names; run `dvc repro dataset`")
    return splits


def checked_rows(checked: pd.DataFrame, like: Dataset) -> Dataset:
    """Human-checked rows (schema GOLD) with the columns that `encode` reads, and the label names of `like`.

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


def variant_rows(train: Dataset, variant: str) -> Dataset:
    """Train rows of the provenance steps up to and including `variant`.

    Raises:
        DataError: no row is left.
    """
    steps = PROVENANCES[: PROVENANCES.index(variant) + 1]
    chosen = np.flatnonzero(np.isin(train["provenance"][:], steps))
    if not len(chosen):
        raise DataError(f"the dataset has no train rows of {', '.join(steps)}; nothing to train {variant!r} on")
    return train.select(chosen)


def label_counts(rows: Dataset) -> list[int]:
    """Rows of each label, in label order."""
    labels = len(rows.features["label"].names)
    counts = np.bincount(np.asarray(rows["label"][:], dtype=np.int64), minlength=labels)
    return [int(count) for count in counts]


def encode(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_tokens: int, confidence_weighting: bool) -> Dataset:
    """Token ids and training targets; columns input_ids, attention_mask, labels, soft_labels, weights.

    With `confidence_weighting` a row's weight is multiplied by the soft-label probability of its label.
    """

    from datasets import Dataset

    weights = np.asarray(rows["weight"][:], dtype=np.float64)
    soft_labels = np.asarray(rows["soft_labels"][:], dtype=np.float64)
    labels = np.asarray(rows["label"][:], dtype=np.int64)
    if confidence_weighting:
        weights = weights * soft_labels[np.arange(len(rows)), labels]
    tokens = tokenizer(rows["text"][:], truncation=True, max_length=max_tokens)
    return Dataset.from_dict({**tokens, "labels": labels, "soft_labels": soft_labels, "weights": weights})
