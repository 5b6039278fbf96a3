"""Texts as runs of characters, which forgive the endings of Russian words and a typist's errors."""

from sklearn.feature_extraction.text import TfidfVectorizer


def character_tfidf() -> TfidfVectorizer:
    """TF-IDF of runs of 2 to 5 characters within words."""
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
