"""A second opinion on a category: a regression on sentence embeddings of what was written for the categories.

It knows nothing of the teacher, so the two err in different places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.common.arrays import FloatArray


@dataclass(frozen=True)
class SecondOpinion:
    """A fitted classifier over the labels, in their order."""

    model: Pipeline

    @classmethod
    def fit(
        cls, embeddings: FloatArray, labels: Sequence[str], names: Sequence[str], regularisation: float
    ) -> SecondOpinion:
        """Learn from reviews of known category; every one of `names` must occur.

        Args:
            embeddings: (reviews, dimensions). labels: (reviews,).
            regularisation: inverse strength of the L2 penalty on standardised features (scikit-learn's C).
        """
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=regularisation, class_weight="balanced", max_iter=2000)
        )
        return cls(model.fit(embeddings, [names.index(label) for label in labels]))

    def distributions(self, embeddings: FloatArray) -> FloatArray:
        """Distributions over the labels, shape (rows, labels), for embeddings (rows, dimensions)."""
        if not len(embeddings):
            return np.empty((0, len(self.model.classes_)))
        distributions: FloatArray = self.model.predict_proba(embeddings)
        return distributions


def combine(teacher: FloatArray, opinion: FloatArray, teacher_weight: float) -> FloatArray:
    """Both distributions (rows, labels) as one: their product, the teacher's raised to `teacher_weight`.

    A logarithmic opinion pool (Genest & Zidek 1986, sec. 3). A language model is far too sure of the category that it
    names: at a weight of 1 nothing could change its mind.
    """
    pooled = np.log(np.maximum(opinion, 1e-9)) + teacher_weight * np.log(np.maximum(teacher, 1e-9))
    distributions: FloatArray = softmax(pooled, axis=1)
    return distributions
