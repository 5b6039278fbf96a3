"""Baselines on toy reviews."""

import numpy as np

from stages.scoring.baselines import embedding_regression, majority, nearest_name, tfidf_regression

TEXTS = ["туфли жмут", "туфли малы", "кружка треснула", "кружка целая"]
LABELS = np.array([2, 2, 0, 0])


def test_majority_is_one_label_for_all() -> None:
    assert majority(np.array([1, 1, 0]), 2, 3).tolist() == [[0, 1, 0], [0, 1, 0]]


def test_words_tell_the_categories_apart_and_an_unseen_one_gets_nothing() -> None:
    probabilities = tfidf_regression(TEXTS, LABELS, ["мои туфли", "моя кружка"], 3)
    assert probabilities.argmax(axis=1).tolist() == [2, 0]
    assert probabilities[:, 1].tolist() == [0, 0]


def test_embeddings_tell_the_categories_apart() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    assert embedding_regression(vectors, LABELS, vectors[[0, 2]], 3).argmax(axis=1).tolist() == [2, 0]


def test_the_nearest_name_is_the_most_probable() -> None:
    probabilities = nearest_name(np.array([[1, 0], [0.6, 0.8]]), np.eye(2))
    assert probabilities.argmax(axis=1).tolist() == [0, 1]
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_where_the_teacher_knows_one_label_there_is_nothing_to_learn() -> None:
    only = np.array([1, 1, 1, 1])
    assert tfidf_regression(TEXTS, only, ["туфли"], 3).tolist() == [[0, 1, 0]]
    assert embedding_regression(np.eye(4), only, np.eye(4)[:1], 3).tolist() == [[0, 1, 0]]
