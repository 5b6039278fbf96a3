"""An embedder without weights, for the stages that embed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from stages.embedding.embedder import Embedder


def embed(_: Embedder, texts: Sequence[str]) -> np.ndarray:
    """Unit rows that differ wherever the texts do."""
    rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=16) for text in texts]
    vectors = np.array(rows, dtype=np.float32).reshape(-1, 16)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def scripted_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take `embed` in the place of every embedding model."""
    monkeypatch.setattr(Embedder, "__init__", lambda *_: None)
    monkeypatch.setattr(Embedder, "embed", embed)
