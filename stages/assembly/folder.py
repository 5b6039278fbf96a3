"""The training set as a folder that `datasets.load_dataset` opens: a Parquet file for each split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from datasets import ClassLabel, Dataset, Features, List, Value

from stages.common.manifest import write_manifest
from stages.common.splits import SPLITS


def features(labels: list[str]) -> Features:
    """The columns; labels are `ClassLabel`s."""
    return Features(
        {
            "id": Value("string"),
            "text": Value("string"),
            "label": ClassLabel(names=labels),
            "soft_labels": List(Value("float32")),
            "weight": Value("float32"),
            "machine_label": ClassLabel(names=labels),
            "machine_soft_labels": List(Value("float32")),
            "machine_weight": Value("float32"),
            "provenance": Value("string"),
            "seed_ids": List(Value("string")),
            "attributes": Value("string"),
        }
    )


def write_splits(rows: pd.DataFrame, labels: list[str], folder: Path) -> None:
    """Write `rows` (columns of `features`, and split) as `<split>.parquet`, with or without rows, and a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    number = {name: position for position, name in enumerate(labels)}
    numbered = rows.assign(**{column: rows[column].map(number) for column in ("label", "machine_label")})
    columns = features(labels)
    for split in SPLITS:
        part = numbered.loc[numbered["split"] == split, list(columns)]
        Dataset.from_dict(part.to_dict("list"), features=columns).to_parquet(folder / f"{split}.parquet")
    write_manifest(folder, [f"{split}.parquet" for split in SPLITS])
