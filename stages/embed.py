"""Stage `embed`: sentence embeddings of reviews, checked reviews, written seeds and the names of the categories."""

from __future__ import annotations

import logging
from pathlib import Path

from stages.analysis.embeddings import embed, write_embeddings
from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import read_table
from stages.common.schema import EMBED, INGEST, MODELS, text_id

logger = logging.getLogger(__name__)


def main() -> None:
    """Read `data/ingest/` and the seeds; write `data/embed/`."""
    params = load()
    tables = [INGEST / "reviews.parquet", INGEST / "gold.parquet", Path(params.generate.seeds)]
    # A text that stands in several files is one row.
    texts = {text_id(text): text for table in tables for text in read_table(table)["text"]}
    texts |= {text_id(name): name for name in params.labels.names}
    write_embeddings(EMBED, list(texts), embed(list(texts.values()), MODELS / "embedder", params.embed))
    logger.info("%d texts embedded", len(texts))


if __name__ == "__main__":
    run_stage(main)
