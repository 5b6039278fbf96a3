"""The second opinion of a run: fitted on what was written for it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from stages.common.io import DATA
from stages.common.texts import text_id
from stages.curation.second_opinion import SecondOpinion
from stages.embedding.stored import read_embeddings
from stages.vocabulary.vocabulary import Vocabulary


def fit_on_vocabulary(vocabulary: Vocabulary, names: Sequence[str], regularisation: float) -> SecondOpinion:
    """Fit a `SecondOpinion` on the written seeds and on the phrases of products and their notes.

    Stage `embed` left their embeddings. `names` are the labels, `regularisation` as in `SecondOpinion.fit`.
    """
    written = pd.concat([vocabulary.seeds[["text", "label"]], vocabulary.phrases()])
    vectors = read_embeddings(DATA / "embed", [text_id(text) for text in written["text"]])
    return SecondOpinion.fit(vectors, written["label"].to_list(), names, regularisation)
