"""Written reviews that are like the one in question, as examples in its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

# What a template is shown of one example: `text` and `label`.
Example = dict[str, str]


@dataclass(frozen=True)
class Demonstrations:
    """The written seeds (columns text, label), and how many of them a prompt shows."""

    seeds: pd.DataFrame
    count: int

    def nearest(self, reviews: Sequence[str]) -> list[list[Example]]:
        """For each review the seeds most like it, the likest last, right before the question.

        Likeness is the TF-IDF cosine of character n-grams. Nearest examples: KATE (Liu et al. 2022, arXiv 2101.06804).
        """
        if not reviews:
            return []
        vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        seeds = vectorizer.fit_transform(self.seeds["text"])
        likeness = (vectorizer.transform(reviews) @ seeds.T).toarray()
        chosen = likeness.argsort(axis=1, kind="stable")[:, -self.count :]
        pairs = zip(self.seeds["text"], self.seeds["label"], strict=True)
        examples: list[Example] = [{"text": text, "label": label} for text, label in pairs]
        return [[examples[index] for index in row] for row in chosen]
