"""Rows of the training set: real ones, written ones, and synthetic ones of rare classes.

What models alone said of a row stands in columns of its own, `machine_…`: students before `human` learn that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from stages.common.arrays import FloatArray
from stages.common.texts import text_id


def real_rows(labelled: pd.DataFrame) -> pd.DataFrame:
    """Real rows with what stage `correct` says of them, in the columns of the dataset plus `split`."""
    return pd.DataFrame(
        {
            "id": labelled["id"],
            "text": labelled["text"],
            "label": labelled["label"],
            "soft_labels": _lists(labelled["probabilities"]),
            "weight": labelled["weight"],
            "machine_label": labelled["machine_label"],
            "machine_soft_labels": _lists(labelled["machine_probabilities"]),
            "machine_weight": labelled["machine_weight"],
            "provenance": labelled["provenance"],
            "seed_ids": [[] for _ in range(len(labelled))],
            "attributes": "{}",
            "split": labelled["split"],
        }
    )


def written_rows(written: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Rows for the train split out of what was written for the labels (text, label, product, notes).

    Each was written for its category, so that has all of the probability.
    """
    one_hot = dict(zip(names, np.eye(len(names)), strict=True))
    labelled = written.assign(
        id=written["text"].map(text_id),
        probabilities=written["label"].map(one_hot.get),
        provenance="written",
    )
    attributes = [json.dumps(row, ensure_ascii=False) for row in written[["product", "notes"]].to_dict("records")]
    return _train_rows(labelled).assign(attributes=attributes)


def synthetic_rows(accepted: pd.DataFrame) -> pd.DataFrame:
    """Synthetic rows for the train split; their soft labels are the distribution that they were read with."""
    accepted = accepted.reset_index(drop=True)
    rows = _train_rows(accepted)
    kept = ["seed_ids", "attributes"]
    return pd.concat([rows.drop(columns=kept), accepted[kept]], axis=1)[list(rows.columns)]


def _train_rows(labelled: pd.DataFrame) -> pd.DataFrame:
    """Rows that no person answered, to be learnt from."""
    rows = labelled.assign(weight=1.0, split="train")
    same = {f"machine_{name}": rows[name] for name in ("label", "probabilities", "weight")}
    return real_rows(rows.assign(**same))


def _lists(distributions: Iterable[FloatArray]) -> list[list[float]]:
    return [np.asarray(row, dtype=float).tolist() for row in distributions]
