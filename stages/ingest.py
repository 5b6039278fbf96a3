"""Stage `ingest`: a raw file becomes clean, unique, split rows; the rest goes to quarantine with a reason."""

from __future__ import annotations

import logging
from dataclasses import asdict

from stages.common.labels import Labels
from stages.ingestion.config import Data
from stages.ingestion.inputs import raw_texts, read_calibration, read_gold, reserved
from stages.ingestion.intake import Intake
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, table_writer, write_json, write_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_seeds

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    vocabulary: VocabularyFiles
    data: Data


def main() -> None:
    """Read `data.path` and the checked files; write `data/ingest/`."""
    params = load(Params)
    names = params.labels.names
    gold = read_gold(params.data, names)
    calibration = read_calibration(params.data, names, gold)
    seeds = read_seeds(params.vocabulary.seeds, names)
    intake = Intake(params.data, reserved(gold, calibration, seeds))
    with (
        table_writer(DATA / "ingest/reviews.parquet") as add_reviews,
        table_writer(DATA / "ingest/quarantine.csv") as add_quarantined,
    ):
        for rows, raw in raw_texts(params.data):
            reviews, quarantined = intake.take_in(rows, raw)
            add_reviews(reviews)
            add_quarantined(quarantined)
    # Only now, so that what was set aside can be looked at where too little is left.
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


if __name__ == "__main__":
    run_stage(main)
