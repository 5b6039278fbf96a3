"""The second opinion of a run: fitted on its written seeds."""

from __future__ import annotations

from stages.analysis.embeddings import read_embeddings
from stages.common.config import Params
from stages.common.schema import EMBED, text_id
from stages.common.vocabulary import read_seeds
from stages.curation.second_opinion import SecondOpinion


def fit_on_seeds(params: Params) -> SecondOpinion:
    """Fit a `SecondOpinion` on `generate.seeds`, whose embeddings stage `embed` left.

    Raises:
        DataError: a label has no seed (named).
    """
    seeds = read_seeds(params.generate.seeds, params.labels.names)
    vectors = read_embeddings(EMBED, [text_id(text) for text in seeds["text"]])
    return SecondOpinion.fit(vectors, seeds["label"].to_list(), params.labels.names, params.curate.regularisation)
