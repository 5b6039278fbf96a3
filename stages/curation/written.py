"""The second opinion of a run: fitted on what was written for it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from stages.common.io import DATA
from stages.common.texts import text_id
from stages.curation.second_opinion import SecondOpinion
from stages.embedding.stored import read_embeddings
from stages.vocabulary.vocabulary import Vocabulary


def fit_on_vocabulary(
    vocabulary: Vocabulary, names: Sequence[str], regularisation: float, answered: pd.DataFrame | None = None
) -> SecondOpinion:
    """Fit a `SecondOpinion` on the written seeds and on the phrases of products and their notes.

    Args:
        vocabulary: of whose texts stage `embed` left embeddings.
        names: the labels in their order.
        regularisation: as in `SecondOpinion.fit`.
        answered: reviews of this run that people gave a label (columns text, label), each one example more.
    """
    written = pd.concat([vocabulary.seeds[["text", "label"]], vocabulary.phrases(), answered])
    vectors = read_embeddings(DATA / "embed", [text_id(text) for text in written["text"]])
    return SecondOpinion.fit(vectors, written["label"].to_list(), names, regularisation)
