"""Rows of the training set: real ones, and written and synthetic ones of rare classes."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from stages.common.texts import text_id


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
