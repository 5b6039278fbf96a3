"""Stage `ingest`: a raw file becomes clean, unique, split rows; the rest goes to quarantine with a reason."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from stages.common.config import Params, load
from stages.common.errors import run_stage
from stages.common.io import write_json, write_table
from stages.common.reading import read_reviews_file
from stages.common.schema import GOLD, INGEST, METRICS, letters
from stages.ingestion.intake import take_in, take_in_gold

logger = logging.getLogger(__name__)


def main() -> None:
    """Read `data.path` and the gold sets; write `data/ingest/` and `metrics/ingest.json`."""
    params = load()
    gold = read_gold(params)
    raw = read_reviews_file(Path(params.data.path), params.data.text_column, params.data.max_file_mib)
    texts = raw[params.data.text_column].iloc[: params.data.limit]
    intake = take_in(texts, params.data, reserved=frozenset(gold["text"].map(letters)))
    counts = {
        "rows_in": len(texts),
        "rows_out": len(intake.reviews),
        "duplicates": intake.duplicates,
        "quarantined": len(intake.quarantined),
        "quarantine_reasons": intake.quarantined["reason"].value_counts().to_dict(),
        "splits": intake.reviews["split"].value_counts().to_dict(),
        "gold": gold["gold_set"].value_counts().to_dict(),
    }
    write_table(INGEST / "reviews.parquet", intake.reviews)
    write_table(INGEST / "gold.parquet", gold)
    write_table(INGEST / "quarantine.csv", intake.quarantined)
    write_json(METRICS / "ingest.json", counts)
    logger.info(
        "%(rows_in)d rows in: %(rows_out)d kept, %(duplicates)d duplicates, %(quarantined)d quarantined", counts
    )


def read_gold(params: Params) -> pd.DataFrame:
    """Read every gold set that `data.gold` names into one table (schema GOLD); empty if it names none."""
    folder = Path(params.data.gold.folder)
    tables = [
        take_in_gold(read_reviews_file(folder / file, "text"), name, "text", params.labels.names, str(folder / file))
        for name, file in params.data.gold.sets.items()
        if file is not None
    ]
    empty = pd.DataFrame({name: pd.Series(dtype=int if name == "row" else str) for name in GOLD.columns})
    return pd.concat(tables, ignore_index=True) if tables else empty


if __name__ == "__main__":
    run_stage(main)
