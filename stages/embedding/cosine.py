"""Likeness of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

# `common.arrays` imports pandas, which a service of a finished student does without.
if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stages.common.arrays import Vectors

Float = TypeVar("Float", bound=np.floating)


def unit(vectors: NDArray[Float]) -> NDArray[Float]:
    """`vectors`, shape (dimensions,) or (rows, dimensions), with length 1: the product of two is their cosine.

    A vector of zeros, that of a text of which nothing is left, has no direction: it stays, and is near to nothing.
    """
    made: NDArray[Float] = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return made


def nearest_cosine(embeddings: Vectors, pool: Vectors, block: int = 1024) -> Vectors:
    """The cosine (rows,) of each row to the nearest one of `pool`, both of unit rows; -1 for an empty pool."""
    nearest = np.full(len(embeddings), -1, dtype=np.float32)
    if len(pool):
        for start in range(0, len(embeddings), block):
            nearest[start : start + block] = (embeddings[start : start + block] @ pool.T).max(axis=1)
    return nearest
