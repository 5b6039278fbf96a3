import numpy as np
import pytest

from stages.drawing.config import Draw
from stages.drawing.projection import project
from stages.running.errors import DataError

SETTINGS = Draw(perplexity=30)


def unit_rows(rows: int, seed: int) -> np.ndarray:
    """Random unit rows around two opposite directions."""
    random = np.random.default_rng(seed)
    centre = np.where(np.arange(rows) % 2, 3, -3)[:, None]
    vectors = (random.normal(size=(rows, 8)) + centre).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_projection_is_deterministic_and_later_batches_move_nothing() -> None:
    real, base, style = unit_rows(40, 0), unit_rows(6, 1), unit_rows(4, 2)
    fitted, (placed,) = project(real, [base], SETTINGS, seed=3)
    again, (placed_again, empty, of_style) = project(real, [base, base[:0], style], SETTINGS, seed=3)
    assert fitted.shape == (40, 2)
    assert empty.shape == (0, 2)
    assert of_style.shape == (4, 2)
    np.testing.assert_array_equal(fitted, again)
    np.testing.assert_array_equal(placed, placed_again)
    # New rows land among the real rows of their own direction.
    centres = np.stack([fitted[::2].mean(axis=0), fitted[1::2].mean(axis=0)])
    nearest = np.linalg.norm(placed[:, None] - centres, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, np.arange(6) % 2)


def test_few_rows_are_still_projected_and_too_few_explained() -> None:
    fitted, _ = project(unit_rows(5, 0), [], SETTINGS, seed=3)
    assert np.isfinite(fitted).all()
    with pytest.raises(DataError, match="4 labelled rows"):
        project(unit_rows(4, 0), [], SETTINGS, seed=3)
