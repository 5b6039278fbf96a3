"""Stage `embed`: sentence embeddings of all reviews, of the written vocabulary, and of the names of the categories."""

from __future__ import annotations

import logging

import pandas as pd

from stages.analysis.embeddings import embed, write_embeddings
from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import read_table
from stages.common.schema import EMBED, INGEST, MODELS, text_id
from stages.common.vocabulary import read_vocabulary

logger = logging.getLogger(__name__)


def main() -> None:
    """Read `data/ingest/` and the vocabulary; write `data/embed/`."""
    params = load()
    vocabulary = read_vocabulary(params.generate.seeds, params.generate.attributes, params.labels.names)
    tables = [read_table(INGEST / "reviews.parquet"), read_table(INGEST / "gold.parquet")]
    tables += [vocabulary.seeds, vocabulary.phrases(), pd.DataFrame({"text": params.labels.names})]
    # A text that stands in several tables is one row.
    texts = {text_id(text): text for table in tables for text in table["text"]}
    write_embeddings(EMBED, list(texts), embed(list(texts.values()), MODELS / "embedder", params.embed))
    logger.info("%d texts embedded", len(texts))


if __name__ == "__main__":
    run_stage(main)
