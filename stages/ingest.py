"""Stage `ingest`: a raw file becomes clean, unique, split rows; the rest goes to quarantine with a reason."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from stages.common.config import load, section
from stages.common.errors import DataError, run_stage
from stages.common.io import DATA, table_writer, write_json, write_table
from stages.common.labels import Labels
from stages.common.reading import read_reviews_file, review_chunks
from stages.ingestion.config import Data
from stages.ingestion.intake import Intake, letters_of, take_in_gold, without
from stages.ingestion.tables import GOLD

logger = logging.getLogger(__name__)

# Rows in memory at a time, and in a row group of the reviews.
CHUNK_ROWS = 16_384


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    data: Data


def main() -> None:
    """Read `data.path` and the checked files; write `data/ingest/`."""
    params = load(Params)
    gold = read_checked(params, params.data.gold.sets, "data.gold.sets.")
    calibration = read_calibration(params, gold)
    intake = Intake(params.data, reserved=letters_of(gold, calibration))
    with (
        table_writer(DATA / "ingest/reviews.parquet") as add_reviews,
        table_writer(DATA / "ingest/quarantine.csv") as add_quarantined,
    ):
        for texts in raw_texts(params.data):
            reviews, quarantined = intake.take_in(texts)
            add_reviews(reviews)
            add_quarantined(quarantined)
        counts = intake.counts(gold, calibration)
    write_table(DATA / "ingest/gold.parquet", gold)
    write_table(DATA / "ingest/calibration.parquet", calibration)
    write_json(DATA / "ingest/counts.json", asdict(counts))
    logger.info(
        "%d rows in: %d kept, %d duplicates, %d quarantined",
        counts.rows_in,
        counts.rows_out,
        counts.duplicates,
        counts.quarantined,
    )


def raw_texts(data: Data) -> Iterator[list[str]]:
    """The first `data.limit` texts of the input, some at a time; it is read to its end, to tell what is wrong with it.

    Raises:
        DataError: as `review_chunks`.
    """
    left = sys.maxsize if data.limit is None else data.limit
    for chunk in review_chunks(Path(data.path), data.text_column, data.max_file_mib, chunk_rows=CHUNK_ROWS):
        if left:
            yield chunk[data.text_column].iloc[:left].to_list()
        left = max(0, left - len(chunk))


def read_calibration(params: Params, gold: pd.DataFrame) -> pd.DataFrame:
    """The rows of `data.gold.calibration` that no gold set has (schema GOLD); none where it names no file.

    Raises:
        DataError: no row is left.
    """
    file = params.data.gold.calibration
    rows = read_checked(params, {"calibration": file}, "data.gold.")
    left = without(rows, gold)
    if len(left) < len(rows):
        logger.warning("%s: %d rows are left out, as a gold set has them too", file, len(rows) - len(left))
    if file is not None and left.empty:
        raise DataError(f"data.gold.calibration={file}: a gold set has all of its rows; what is scored cannot be used")
    return left


def read_checked(params: Params, sets: Mapping[str, str | None], key: str) -> pd.DataFrame:
    """Read the files of `sets` in `data.gold.folder` into one table (schema GOLD); empty if there are none.

    `key` and a set's name are the parameter that names its file.
    """
    folder = Path(params.data.gold.folder)
    tables = []
    for name, file in sets.items():
        if file is not None:
            raw = read_reviews_file(folder / file, "text", key=key + name)
            tables.append(take_in_gold(raw, name, "text", params.labels.names, str(folder / file)))
    empty = pd.DataFrame({name: pd.Series(dtype=int if name == "row" else str) for name in GOLD.columns})
    return pd.concat(tables, ignore_index=True) if tables else empty


if __name__ == "__main__":
    run_stage(main)
