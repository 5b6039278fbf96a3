"""What a classifier has to beat: distributions over the labels, shape (rows, labels), by simpler means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.common.arrays import FloatArray, IntArray
from stages.common.ngrams import character_tfidf

# How much a difference in cosine counts; it decides how sure the nearest name looks, not which one it is.
SHARPNESS = 20.0


def majority(train_labels: IntArray, rows: int, labels: int) -> FloatArray:
    """Always the most frequent train label."""
    return np.tile(np.eye(labels)[np.bincount(train_labels).argmax()], (rows, 1))


def tfidf_regression(
    train_texts: Sequence[str], train_labels: IntArray, texts: Sequence[str], labels: int
) -> FloatArray:
    """Logistic regression on TF-IDF of runs of 2 to 5 characters within words."""
    model = make_pipeline(character_tfidf(), LogisticRegression(C=10.0, class_weight="balanced", max_iter=2000))
    return _fitted(model, train_texts, train_labels, texts, labels)


def embedding_regression(
    train_embeddings: FloatArray, train_labels: IntArray, embeddings: FloatArray, labels: int
) -> FloatArray:
    """Logistic regression on sentence embeddings, at scikit-learn's settings."""
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    return _fitted(model, train_embeddings, train_labels, embeddings, labels)


def nearest_name(embeddings: FloatArray, name_embeddings: FloatArray) -> FloatArray:
    """Zero-shot: the category whose name lies nearest, by the cosine of unit rows."""
    distributions: FloatArray = softmax(SHARPNESS * embeddings @ name_embeddings.T, axis=1)
    return distributions


def _fitted(model: Pipeline, train: Any, train_labels: IntArray, rows: Any, labels: int) -> FloatArray:
    """What `model` says of `rows` after it was fitted, with zeros for the labels that the train rows lack."""
    if len(np.unique(train_labels)) == 1:
        # There is nothing to tell apart.
        return majority(train_labels, len(rows), labels)
    probabilities = np.zeros((len(rows), labels))
    model.fit(train, train_labels)
    probabilities[:, model.classes_] = model.predict_proba(rows)
    return probabilities
