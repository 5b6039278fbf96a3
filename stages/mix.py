"""Stage `mix`: what was written for the categories, told among sentences of this shop."""

from __future__ import annotations

import logging

import numpy as np

from stages.common.labels import Labels
from stages.curation.config import Curate
from stages.curation.written import fit_on_vocabulary
from stages.embedding.config import Embed
from stages.embedding.embedder import Embedder
from stages.embedding.stored import read_embeddings, write_embeddings
from stages.mixing.config import Mix
from stages.mixing.rows import mixed_rows
from stages.mixing.talk import sentences
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, read_table, write_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import Vocabulary, read_vocabulary

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    labels: Labels
    vocabulary: VocabularyFiles
    embed: Embed
    curate: Curate
    mix: Mix


def main() -> None:
    """Read the train reviews and the vocabulary; write `data/mix/`: rows and their embeddings."""
    params = load(Params)
    vocabulary = read_vocabulary(params.vocabulary, params.labels.names)
    talk = read_talk(vocabulary, params.labels, params.curate, params.mix)
    rows = mixed_rows(vocabulary.examples(), talk, params.mix, np.random.default_rng(params.seed))
    write_table(DATA / "mix/rows.parquet", rows)
    embedder = Embedder(DATA / "models/embedder", params.embed)
    write_embeddings(DATA / "mix", rows["id"].to_list(), embedder.embed(rows["text"].to_list()))
    logger.info("%d rows with %d sentences of the shop", len(rows), len(talk))


def read_talk(vocabulary: Vocabulary, labels: Labels, curate: Curate, mix: Mix) -> list[str]:
    """Sentences of the train reviews that name no product; none where no category is for these."""
    if not labels.no_product:
        return []
    reviews = read_table(DATA / "ingest/reviews.parquet")
    reviews = reviews[reviews["split"] == "train"]
    opinion = fit_on_vocabulary(vocabulary, labels.names, curate.regularisation)
    vectors = read_embeddings(DATA / "embed", reviews["id"].to_list())
    sure = opinion.distributions(vectors)[:, labels.names.index(labels.no_product)] >= mix.min_confidence
    return sentences(reviews.loc[sure, "text"], mix.max_chars)


if __name__ == "__main__":
    run_stage(main, "Vectors computed so far are stored; the same command goes on from there.")
