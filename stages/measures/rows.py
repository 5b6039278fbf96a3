"""How many rows of which kind the training set has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd


def train_counts(train: pd.DataFrame, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Train rows by provenance and label; the column `label` holds indices of `names`."""
    return {
        str(provenance): dict(Counter(names[label] for label in part["label"]).most_common())
        for provenance, part in train.groupby("provenance", sort=False)
    }
