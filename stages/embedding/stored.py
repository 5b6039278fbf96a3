"""Sentence embeddings of reviews, and how they are kept between stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.arrays import Vectors
from stages.running.errors import DataError
from stages.running.io import atomic_path, write_table


def write_embeddings(folder: Path, ids: Sequence[str], embeddings: Vectors) -> None:
    """Write `embeddings.npy` and, in the same order, `ids.csv` into `folder`."""
    with atomic_path(folder / "embeddings.npy") as temporary:
        np.save(temporary, embeddings, allow_pickle=False)
    write_table(folder / "ids.csv", pd.DataFrame({"id": ids}))


def read_embeddings(folder: Path, ids: Sequence[str]) -> Vectors:
    """Read the rows of `ids`, in their order, of what `write_embeddings` wrote.

    Raises:
        DataError: a row was not stored (the message names the first one).
    """
    rows = pd.Index(pd.read_csv(folder / "ids.csv", dtype=str)["id"]).get_indexer(pd.Index(ids, dtype=str))
    if (rows < 0).any():
        unknown = ids[int((rows < 0).argmax())]
        raise DataError(f"{folder}/embeddings.npy has no row {unknown!r}; run `dvc repro embed`")
    embeddings: Vectors = np.load(folder / "embeddings.npy", allow_pickle=False)[rows]
    return embeddings
