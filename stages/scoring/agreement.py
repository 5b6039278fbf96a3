"""Where nobody checked any reviews: the teacher's own labels in the place of the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.running.errors import DataError
from stages.running.io import read_table

# Stands where the name of a gold set would: nobody shall read these numbers as scores against truth.
AGREEMENT = "agreement_with_teacher"


def teacher_labelled(test: Path, label_names: Sequence[str]) -> pd.DataFrame:
    """The test split in the columns of `ingestion.tables.GOLD`, with the teacher's labels as labels.

    Raises:
        DataError: the split is empty.
    """
    rows = read_table(test)
    if rows.empty:
        raise DataError(
            "neither gold nor test rows to evaluate on; name a gold file in data.gold, or raise data.test_share"
        )
    return pd.DataFrame(
        {
            "gold_set": AGREEMENT,
            "id": rows["id"],
            "row": range(len(rows)),
            "text": rows["text"],
            "label": [label_names[index] for index in rows["label"]],
            "stratum": "",
            "flag": "",
        }
    )
