"""Human-checked rows, as stages `ingest` and `correct` leave them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.running.errors import DataError
from stages.running.io import read_table

logger = logging.getLogger(__name__)

COLUMNS = ("gold_set", "id", "row", "text", "label", "stratum", "flag")
# The gold set of the reviews of this run that people answered.
PEOPLE = "human"
# Fewer of them say nothing: resampled, one or two answers are all right or all wrong.
FEWEST = 3


def scored_rows(data: Path, label_names: Sequence[str]) -> pd.DataFrame:
    """What is scored on below the folder `data`: rows of gold files and, after them, answers to test reviews.

    Raises:
        DataError: a label outside `label_names`.
    """
    gold = labelled_gold(data / "ingest/gold.parquet", label_names)
    people = labelled_gold(data / "correct/checked.parquet", label_names)
    if 0 < len(people) < FEWEST:
        logger.warning("%d answers to test reviews are too few to score on; %d would do", len(people), FEWEST)
    return pd.concat([gold, people], ignore_index=True) if len(people) >= FEWEST else gold


def drawn_rows(gold: pd.DataFrame, most: int | None) -> pd.DataFrame:
    """At most so many rows of each gold set, drawn at random; all for None.

    An id is a digest of the text, so the first ones in their order are as good as any, and stay when others come in.
    """
    ordered = gold.sort_values("id", kind="stable")
    return ordered.groupby("gold_set").head(len(gold) if most is None else most).sort_index()


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
