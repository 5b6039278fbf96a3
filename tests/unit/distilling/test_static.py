from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from stages.distilling.config import Distil
from stages.distilling.static import SILENT, distil, write
from stages.distilling.texts import Texts
from stages.distilling.words import Vocabulary
from stages.encoding.means import TokenMeans
from stages.encoding.source import ModelFolder

THINGS = ["чайник", "плед", "туфли", "куртка"]
FILLERS = ["очень", "просто", "теперь", "вчера", "весьма"]
SETTINGS = Distil(
    into="static", layers=None, lowercase=True, words=99, texts=99, epochs=40, batch_size=16, learning_rate=0.01
)


@pytest.fixture
def vectors() -> dict[str, np.ndarray]:
    """A random vector of each word; things lie on one side of the origin, fillers on the other."""
    random = np.random.default_rng(0)
    side = np.zeros(8, dtype=np.float32)
    side[0] = 3
    drawn = {word: random.normal(size=8).astype(np.float32) for word in [*THINGS, *FILLERS]}
    return {word: vector + (side if word in THINGS else -side) for word, vector in drawn.items()}


@pytest.fixture
def texts(vectors) -> Texts:
    """What a large encoder would say of a thing among fillers: the thing's own vector."""
    random = np.random.default_rng(1)
    made = []
    for _ in range(200):
        thing = str(random.choice(THINGS))
        words = [thing, *random.choice(FILLERS, size=int(random.integers(1, 6)))]
        made.append((" ".join(random.permutation(words)), vectors[thing]))
    return Texts([text for text, _ in made], np.stack([vector for _, vector in made]))


def test_words_that_matter_weigh_more(vectors, texts):
    vocabulary = Vocabulary(vectors)
    words = np.stack([vectors[word] for word in vocabulary.words])
    train, validation = (Texts(texts.texts[part], texts.vectors[part]) for part in (slice(150), slice(150, None)))
    distilled = distil(vocabulary, words, train, validation, SETTINGS, seed=0)
    weights = distilled.encoder.embedding_weights.weight.detach().squeeze(-1)
    of = {word: float(weights[vocabulary.ids[word]]) for word in vectors}
    assert min(of[word] for word in THINGS) > max(of[word] for word in FILLERS) + 0.5
    assert (weights[: vocabulary.silent] == SILENT).all()
    # A plain mean of the words would leave more than half of the variance.
    assert distilled.error < 0.1


def test_the_same_seed_gives_the_same_encoder(vectors, texts):
    vocabulary = Vocabulary(vectors)
    words = np.stack([vectors[word] for word in vocabulary.words])
    few = dataclasses.replace(SETTINGS, epochs=2)
    one, other = (distil(vocabulary, words, texts, texts, few, seed=3) for _ in range(2))
    assert torch.equal(one.encoder.embeddings.weight, other.encoder.embeddings.weight)


def test_its_folder_is_an_encoder_like_any_other(vectors, texts, tmp_path, monkeypatch):
    monkeypatch.setenv("RAZMETKA_CACHE", str(tmp_path / "cache"))
    vocabulary = Vocabulary(vectors)
    words = np.stack([vectors[word] for word in vocabulary.words])
    distilled = distil(vocabulary, words, texts, texts, dataclasses.replace(SETTINGS, epochs=2), seed=0)
    write(distilled, vocabulary, tmp_path / "encoder")
    given = TokenMeans("here", "mean", ModelFolder(tmp_path / "encoder", 16)).of(["Плед очень", "очень плед", "?"])
    assert given.shape == (3, 8)
    np.testing.assert_allclose(given[0], given[1], atol=1e-5)
    table, weights = (
        layer.weight.detach().numpy() for layer in (distilled.encoder.embeddings, distilled.encoder.embedding_weights)
    )
    ids = [vocabulary.ids["плед"], vocabulary.ids["очень"]]
    shares = np.exp(weights[ids]) / np.exp(weights[ids]).sum()
    np.testing.assert_allclose(given[0], (table[ids] * shares).sum(axis=0), atol=1e-4)
