"""The second opinion of a run: fitted on what was written for it."""

from __future__ import annotations

import pandas as pd

from stages.analysis.embeddings import read_embeddings
from stages.common.config import Params
from stages.common.schema import EMBED, text_id
from stages.common.vocabulary import read_vocabulary
from stages.curation.second_opinion import SecondOpinion


def fit_on_vocabulary(params: Params) -> SecondOpinion:
    """Fit a `SecondOpinion` on the written seeds and on the phrases of products and their notes.

    Stage `embed` left their embeddings.

    Raises:
        DataError: a label has no seed or no product (named).
    """
    vocabulary = read_vocabulary(params.generate.seeds, params.generate.attributes, params.labels.names)
    written = pd.concat([vocabulary.seeds[["text", "label"]], vocabulary.phrases()])
    vectors = read_embeddings(EMBED, [text_id(text) for text in written["text"]])
    return SecondOpinion.fit(vectors, written["label"].to_list(), params.labels.names, params.curate.regularisation)
