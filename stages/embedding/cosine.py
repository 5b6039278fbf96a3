"""Likeness of embeddings."""

from __future__ import annotations

import numpy as np

from stages.common.arrays import Vectors


def nearest_cosine(embeddings: Vectors, pool: Vectors, block: int = 1024) -> Vectors:
    """The cosine (rows,) of each row to the nearest one of `pool`, both of unit rows; -1 for an empty pool."""
    nearest = np.full(len(embeddings), -1, dtype=np.float32)
    if len(pool):
        for start in range(0, len(embeddings), block):
            nearest[start : start + block] = (embeddings[start : start + block] @ pool.T).max(axis=1)
    return nearest
