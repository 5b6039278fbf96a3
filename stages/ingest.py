"""Stage `ingest`: a raw file becomes clean, unique, split rows; the rest goes to quarantine with a reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stages.common.config import Params, load
from stages.common.errors import run_stage
from stages.common.io import write_json, write_table
from stages.common.reading import read_reviews_file
from stages.common.schema import GOLD, INGEST, METRICS
from stages.ingestion.intake import apart, letters_of, take_in, take_in_gold

logger = logging.getLogger(__name__)


def main() -> None:
    """Read `data.path` and the checked files; write `data/ingest/` and `metrics/ingest.json`."""
    params = load()
    gold = read_checked(params, params.data.gold.sets)
    calibration = read_checked(params, {"calibration": params.data.gold.calibration})
    calibration, scored = apart(calibration, gold)
    if scored:
        logger.warning("calibration rows that are in a gold set too, and so are scored alone: %d", scored)
    raw = read_reviews_file(Path(params.data.path), params.data.text_column, params.data.max_file_mib)
    texts = raw[params.data.text_column].iloc[: params.data.limit]
    intake = take_in(texts, params.data, reserved=letters_of(gold, calibration))
    counts = {
        "rows_in": len(texts),
        "rows_out": len(intake.reviews),
        "duplicates": intake.duplicates,
        "quarantined": len(intake.quarantined),
        "quarantine_reasons": intake.quarantined["reason"].value_counts().to_dict(),
        "splits": intake.reviews["split"].value_counts().to_dict(),
        "gold": gold["gold_set"].value_counts().to_dict(),
        "calibration": len(calibration),
    }
    write_table(INGEST / "reviews.parquet", intake.reviews)
    write_table(INGEST / "gold.parquet", gold)
    write_table(INGEST / "calibration.parquet", calibration)
    write_table(INGEST / "quarantine.csv", intake.quarantined)
    write_json(METRICS / "ingest.json", counts)
    logger.info(
        "%(rows_in)d rows in: %(rows_out)d kept, %(duplicates)d duplicates, %(quarantined)d quarantined", counts
    )


def read_checked(params: Params, sets: Mapping[str, str | None]) -> pd.DataFrame:
    """Read the files of `sets` in `data.gold.folder` into one table (schema GOLD); empty if there are none."""
    folder = Path(params.data.gold.folder)
    tables = [
        take_in_gold(read_reviews_file(folder / file, "text"), name, "text", params.labels.names, str(folder / file))
        for name, file in sets.items()
        if file is not None
    ]
    empty = pd.DataFrame({name: pd.Series(dtype=int if name == "row" else str) for name in GOLD.columns})
    return pd.concat(tables, ignore_index=True) if tables else empty


if __name__ == "__main__":
    run_stage(main)
