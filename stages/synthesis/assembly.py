"""Assemble the training set: real rows, written and synthetic rows of rare classes, and a check that nothing leaks."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from stages.common.config import Model
from stages.common.errors import DataError
from stages.common.schema import PROVENANCES, SPLITS, letters, text_id

COLUMNS = ("id", "text", "label", "soft_labels", "weight", "provenance", "seed_ids", "attributes")


def real_rows(labelled: pd.DataFrame) -> pd.DataFrame:
    """Real rows with label, distribution and weight after `curate`, in the columns of the dataset plus `split`."""
    return pd.DataFrame(
        {
            "id": labelled["id"],
            "text": labelled["text"],
            "label": labelled["label"],
            "soft_labels": [np.asarray(row, dtype=float).tolist() for row in labelled["probabilities"]],
            "weight": labelled["weight"],
            "provenance": "real",
            "seed_ids": [[] for _ in range(len(labelled))],
            "attributes": "{}",
            "split": labelled["split"],
        }
    )


def written_rows(seeds: pd.DataFrame, rare: Collection[str], names: Sequence[str]) -> pd.DataFrame:
    """Rows for the train split out of the seeds (text, label, product, notes) of the `rare` labels.

    Each was written for its category, so that has all of the probability.
    """
    chosen = seeds[seeds["label"].isin(list(rare))]
    one_hot = dict(zip(names, np.eye(len(names)), strict=True))
    labelled = chosen.assign(
        id=chosen["text"].map(text_id),
        probabilities=chosen["label"].map(one_hot.get),
        weight=1.0,
        split="train",
    )
    attributes = [json.dumps(row, ensure_ascii=False) for row in chosen[["product", "notes"]].to_dict("records")]
    return real_rows(labelled).assign(provenance="written", attributes=attributes)


def synthetic_rows(accepted: pd.DataFrame) -> pd.DataFrame:
    """Synthetic rows for the train split; their soft labels are the distribution that they were read with."""
    accepted = accepted.reset_index(drop=True)
    rows = real_rows(accepted.assign(split="train", weight=1.0))
    kept = ["provenance", "seed_ids", "attributes"]
    return pd.concat([rows.drop(columns=kept), accepted[kept]], axis=1)[list(rows.columns)]


def check_leaks(rows: pd.DataFrame, checked: pd.DataFrame) -> None:
    """Fail if a text stands in two splits or among the checked ones, compared by letters and digits alone.

    Raises:
        DataError: naming the first offending text.
    """
    keys = rows["text"].map(letters)
    splits = rows.assign(key=keys).groupby("key")["split"].nunique()
    twice = splits[splits > 1]
    if len(twice):
        text = rows.loc[keys == twice.index[0], "text"].iloc[0]
        raise DataError(f"leak: {len(twice)} texts stand in more than one split, first {text[:80]!r}")
    shared = rows[keys.isin(set(checked["text"].map(letters)))]
    if len(shared):
        first = shared["text"].iloc[0][:80]
        raise DataError(f"leak: {len(shared)} rows stand in a checked file too, first {first!r}; take them out of one")


def build(rows: pd.DataFrame, labels: list[str]) -> DatasetDict:
    """Split `rows` into a `DatasetDict` with train, validation and test; `label` becomes a `ClassLabel`."""
    features = Features(
        {
            "id": Value("string"),
            "text": Value("string"),
            "label": ClassLabel(names=labels),
            "soft_labels": List(Value("float32")),
            "weight": Value("float32"),
            "provenance": Value("string"),
            "seed_ids": List(Value("string")),
            "attributes": Value("string"),
        }
    )
    numbered = rows.assign(label=rows["label"].map({name: number for number, name in enumerate(labels)}))
    parts = {split: numbered.loc[numbered["split"] == split, list(COLUMNS)] for split in SPLITS}
    return DatasetDict(
        {split: Dataset.from_dict(part.to_dict("list"), features=features) for split, part in parts.items()}
    )


def counts(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Train rows by provenance and label."""
    train = rows[rows["split"] == "train"]
    return {
        str(name): {str(label): int(count) for label, count in part["label"].value_counts().items()}
        for name, part in train.groupby("provenance", sort=False)
    }


def card(rows: pd.DataFrame, labels: list[str], models: Mapping[str, Model]) -> str:
    """A dataset card in Markdown, from the rows themselves."""
    table = rows[rows["split"] == "train"].pivot_table(
        index="label", columns="provenance", values="id", aggfunc="count", fill_value=0
    )
    table = table.reindex(index=labels, columns=[name for name in PROVENANCES if name in table], fill_value=0)
    lines = ["| category | " + " | ".join(table.columns) + " |", "|---|" + "---:|" * len(table.columns)]
    lines += [
        "| " + " | ".join([label, *map(str, row)]) + " |" for label, row in zip(labels, table.to_numpy(), strict=True)
    ]
    splits = ", ".join(f"{split} {count}" for split, count in rows["split"].value_counts().items())
    makers = "; ".join(f"{role}: {model.name} ({model.license})" for role, model in models.items())
    front = {"language": ["ru"], "task_categories": ["text-classification"], "pretty_name": "Razmetka training set"}
    return "\n".join(
        [
            "---",
            *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()),
            "---",
            "# Training set",
            "",
            f"Rows: {splits}. Real rows carry the teacher's label as a second opinion left it; no person checked it.",
            "Written rows were written for their category by the makers of the vocabulary file. Synthetic rows (base,",
            "paraphrase, style) have the category that a language model wrote them for, checked by filters and by the",
            "readers of the real rows. Written and synthetic rows stand in train alone, and only for rare categories.",
            "",
            f"Made by {makers}.",
            "",
            "## Train rows by provenance",
            "",
            *lines,
            "",
            "## Columns",
            "",
            "`label` hard label; `soft_labels` the readers' distribution in the order of the class names (1 for the",
            "label of a written row); `weight` sample weight; `provenance` real, written, base, paraphrase or style;",
            "`seed_ids` the rows that the generator was shown; `attributes` product and notes that were asked",
            "for (JSON).",
            "",
        ]
    )
