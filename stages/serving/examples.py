"""The labelled examples that are nearest to a text, by the cosine of what reaches the student's head."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from stages.common.manifest import check_manifest
from stages.embedding.cosine import unit
from stages.running.errors import DataError

if TYPE_CHECKING:
    from stages.common.arrays import FloatArray, Vectors

logger = logging.getLogger(__name__)

# int8 and fp32 give a text vectors of more than this cosine, two encoders do not.
SAME = 0.9
REMEDY = "run `dvc repro index`"


class Example(BaseModel):
    """A row of the training set, and how near it is: the cosine, at most 1."""

    id: str
    text: str
    label: str
    provenance: str
    similarity: float


class Examples:
    """What stage `index` wrote."""

    def __init__(self, folder: Path) -> None:
        """Read `folder`.

        Raises:
            DataError: one of its files is missing, cut or not the one that was written.
        """
        # Imported here: a service without an index does without.
        from pyarrow import parquet

        check_manifest(folder, DataError, REMEDY)
        # `read_table` would import pandas.
        with parquet.ParquetFile(folder / "examples.parquet") as file:
            self._rows: list[dict[str, Any]] = file.read().to_pylist()
        # As wide as a processor multiplies them.
        self._vectors: Vectors = np.load(folder / "vectors.npy").astype(np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def nearest(self, vector: FloatArray, k: int) -> list[Example]:
        """The `k` nearest to what reaches the head for a text, shape (features,), the nearest first."""
        cosines = self._vectors @ unit(vector)
        first = np.argsort(-cosines, kind="stable")[:k]
        return [Example(**self._rows[row], similarity=round(float(cosines[row]), 4)) for row in first]

    def are_of(self, embed: Callable[[Sequence[str]], FloatArray]) -> bool:
        """Whether the vectors are those that `embed` gives: of the first example, it is the same."""
        if not len(self):
            return False
        (vector,) = embed([self._rows[0]["text"]])
        if vector.shape != self._vectors[0].shape:
            return False
        return bool(self._vectors[0] @ unit(vector) > SAME)


def read_examples(folder: Path, embed: Callable[[Sequence[str]], FloatArray]) -> Examples | None:
    """The examples in `folder`; None, which is told, where there are none, or those of another student.

    Raises:
        DataError: as `Examples`.
    """
    if not folder.is_dir():
        logger.warning("%s does not exist: no nearest examples; %s", folder, REMEDY)
        return None
    examples = Examples(folder)
    if not examples.are_of(embed):
        logger.warning("%s is not of this student: no nearest examples; name its own with --index", folder)
        return None
    return examples
