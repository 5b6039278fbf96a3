"""Human-checked rows, as stage `ingest` leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.common.errors import DataError
from stages.common.io import read_table

COLUMNS = ("gold_set", "id", "row", "text", "label", "stratum", "flag")


def labelled_gold(path: Path, label_names: Sequence[str]) -> pd.DataFrame:
    """The rows (columns as in `ingestion.tables.GOLD`) that have a label; none if there is no such file.

    Raises:
        DataError: a label outside `label_names`.
    """
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    gold = read_table(path)
    gold = gold[gold["label"] != ""].reset_index(drop=True)
    unknown = gold[~gold["label"].isin(label_names)]
    if len(unknown):
        first = unknown.iloc[0]
        raise DataError(
            f"{path}: gold set {first['gold_set']}, row {first['row']} has the unknown label {first['label']!r}"
        )
    return gold
