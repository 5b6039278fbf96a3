"""Written reviews that are like the one in question, as examples in its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from stages.common.ngrams import character_tfidf

# What a template is shown of one example: `text` and `label`.
Example = dict[str, str]


@dataclass(frozen=True)
class Demonstrations:
    """Written seeds, and where they lie by the TF-IDF of their character n-grams."""

    examples: list[Example]
    vectorizer: TfidfVectorizer
    vectors: csr_matrix

    @classmethod
    def of(cls, seeds: pd.DataFrame) -> Demonstrations:
        """Index the seeds (columns text, label)."""
        vectorizer = character_tfidf()
        pairs = zip(seeds["text"], seeds["label"], strict=True)
        examples: list[Example] = [{"text": text, "label": label} for text, label in pairs]
        return cls(examples, vectorizer, vectorizer.fit_transform(seeds["text"]))

    def nearest(self, reviews: Sequence[str], count: int) -> list[list[Example]]:
        """For each review the `count` seeds most like it, the likest last, right before the question.

        Likeness is the cosine. Nearest examples: KATE (Liu et al. 2022, arXiv 2101.06804).
        """
        if not reviews:
            return []
        likeness = (self.vectorizer.transform(reviews) @ self.vectors.T).toarray()
        chosen = likeness.argsort(axis=1, kind="stable")[:, -count:]
        return [[self.examples[index] for index in row] for row in chosen]
