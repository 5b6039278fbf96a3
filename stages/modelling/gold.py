"""The rows that answers are compared with: human-checked ones, or else the teacher's own labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stages.common.errors import DataError
from stages.common.io import read_table
from stages.common.schema import GOLD

if TYPE_CHECKING:
    from datasets import Dataset

# Stands where the name of a gold set would: nobody shall read these numbers as scores against truth.
AGREEMENT = "agreement_with_teacher"


def labelled_gold(path: Path, label_names: Sequence[str]) -> pd.DataFrame:
    """Human-checked rows (schema GOLD) that have a label; none if there is no such file.

    Raises:
        DataError: a label outside `label_names`.
    """
    if not path.is_file():
        return pd.DataFrame(columns=list(GOLD.columns))
    gold = read_table(path)
    gold = gold[gold["label"] != ""].reset_index(drop=True)
    unknown = gold[~gold["label"].isin(label_names)]
    if len(unknown):
        first = unknown.iloc[0]
        raise DataError(
            f"{path}: gold set {first['gold_set']}, row {first['row']} has the unknown label {first['label']!r}"
        )
    return gold


def teacher_labelled(test: Dataset) -> pd.DataFrame:
    """The test split in the columns of GOLD, with the teacher's labels in the place of the truth.

    Raises:
        DataError: the split is empty.
    """
    if not len(test):
        raise DataError(
            "neither gold nor test rows to evaluate on; name a gold file in data.gold, or raise data.test_share"
        )
    names = test.features["label"].names
    return pd.DataFrame(
        {
            "gold_set": AGREEMENT,
            "id": test["id"][:],
            "row": range(len(test)),
            "text": test["text"][:],
            "label": [names[index] for index in test["label"][:]],
            "stratum": "",
            "flag": "",
        }
    )
