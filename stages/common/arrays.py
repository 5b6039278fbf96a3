"""Arrays that pass between packages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]
BoolArray = npt.NDArray[np.bool_]
# Of texts, shape (texts, dimensions).
Vectors = npt.NDArray[np.float32]


def probability_matrix(frame: pd.DataFrame, column: str = "probabilities") -> FloatArray:
    """Stack a column of distributions into an array of shape (rows, labels)."""
    return np.stack([np.asarray(row, dtype=np.float64) for row in frame[column]]) if len(frame) else np.empty((0, 0))


def label_indices(labels: Sequence[str] | pd.Series, label_names: Sequence[str]) -> IntArray:
    """Index of each label, shape (rows,); `len(label_names)` for whatever is not a label."""
    index = {name: position for position, name in enumerate(label_names)}
    return np.array([index.get(label, len(index)) for label in labels], dtype=np.int64)
