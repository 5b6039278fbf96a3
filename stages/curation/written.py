"""The second opinion of a run: fitted on what was written for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.common.arrays import Vectors
from stages.common.texts import text_id
from stages.curation.second_opinion import SecondOpinion
from stages.embedding.stored import read_embeddings
from stages.running.io import DATA, read_table
from stages.vocabulary.vocabulary import Vocabulary


def fit_on_vocabulary(vocabulary: Vocabulary, names: Sequence[str], regularisation: float) -> SecondOpinion:
    """Fit a `SecondOpinion` on the written examples alone, whose embeddings stage `embed` left.

    Args:
        vocabulary: what was written.
        names: the labels in their order.
        regularisation: as in `SecondOpinion.fit`.
    """
    written = vocabulary.examples()
    return SecondOpinion.fit(_embedded(written), written["label"].to_list(), names, regularisation)


def fit_second_opinion(
    vocabulary: Vocabulary, names: Sequence[str], regularisation: float, answered: pd.DataFrame | None = None
) -> SecondOpinion:
    """Fit the `SecondOpinion` of this run: on the written examples, alone and among the shop's sentences.

    Args:
        vocabulary, names, regularisation: as in `fit_on_vocabulary`.
        answered: reviews of this run that people gave a label (columns text, label), each one example more.
    """
    vectors, labels = learnt_from(vocabulary)
    if answered is not None:
        vectors = np.concatenate([vectors, _embedded(answered)])
        labels = [*labels, *answered["label"]]
    return SecondOpinion.fit(vectors, labels, names, regularisation)


def learnt_from(vocabulary: Vocabulary) -> tuple[Vectors, list[str]]:
    """Embeddings (rows, dimensions) and labels of what the second opinion learns from, beside people's answers."""
    written, mixed = vocabulary.examples(), read_table(DATA / "mix/rows.parquet")
    vectors = np.concatenate([_embedded(written), read_embeddings(DATA / "mix", mixed["id"].to_list())])
    return vectors, [*written["label"], *mixed["label"]]


def _embedded(rows: pd.DataFrame) -> Vectors:
    return read_embeddings(DATA / "embed", [text_id(text) for text in rows["text"]])
