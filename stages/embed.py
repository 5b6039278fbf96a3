"""Stage `embed`: sentence embeddings of all reviews, of the written vocabulary, and of the names of the categories."""

from __future__ import annotations

import logging

import pandas as pd

from stages.common.labels import Labels
from stages.common.texts import text_id
from stages.embedding.config import Embed
from stages.embedding.embedder import Embedder
from stages.embedding.stored import write_embeddings
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, read_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    vocabulary: VocabularyFiles
    embed: Embed


def main() -> None:
    """Read `data/ingest/` and the vocabulary; write `data/embed/`."""
    params = load(Params)
    vocabulary = read_vocabulary(params.vocabulary, params.labels.names)
    tables = [read_table(DATA / "ingest/reviews.parquet"), read_table(DATA / "ingest/gold.parquet")]
    tables += [vocabulary.examples(), pd.DataFrame({"text": params.labels.names})]
    # A text that stands in several tables is one row.
    texts = {text_id(text): text for table in tables for text in table["text"]}
    embedder = Embedder(DATA / "models/embedder", params.embed)
    write_embeddings(DATA / "embed", list(texts), embedder.embed(list(texts.values())))
    logger.info("%d texts embedded", len(texts))


if __name__ == "__main__":
    run_stage(main, "Vectors computed so far are stored; the same command goes on from there.")
