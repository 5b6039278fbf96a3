"""What a faster encoder learns from."""

from __future__ import annotations

from dataclasses import dataclass

from stages.common.arrays import Vectors


@dataclass(frozen=True)
class Texts:
    """Texts and what the embedder gives for them, shape (texts, size)."""

    texts: list[str]
    vectors: Vectors
