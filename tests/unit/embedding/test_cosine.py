"""Likeness of embeddings."""

import numpy as np
import pytest

from stages.embedding.cosine import nearest_cosine, unit


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_have_length_one_and_keep_their_direction_and_type(dtype):
    vectors = np.array([[3, 4], [-1e-5, 0], [0, 0]], dtype)
    found = unit(vectors)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, [[0.6, 0.8], [-1, 0], [0, 0]], rtol=1e-6)
    # One by itself is what it is among others, to the last bit.
    for vector, among in zip(vectors, found, strict=True):
        np.testing.assert_array_equal(unit(vector), among)


def test_the_nearest_one_is_that_of_the_greatest_cosine_whatever_the_size_of_a_block():
    random = np.random.default_rng(0)
    rows, pool = (unit(random.normal(size=(size, 8)).astype(np.float32)) for size in (7, 5))
    for block in (1, 3, 7):
        np.testing.assert_allclose(nearest_cosine(rows, pool, block), (rows @ pool.T).max(axis=1), rtol=1e-6)
    assert (nearest_cosine(rows, pool[:0]) == -1).all()
