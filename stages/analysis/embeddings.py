"""Sentence embeddings of reviews, and how they are kept between stages."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.common.config import Embed
from stages.common.errors import DataError, ModelError
from stages.common.io import atomic_path, write_table

Embeddings = npt.NDArray[np.float32]


def embed(texts: Sequence[str], folder: Path, settings: Embed) -> Embeddings:
    """Embed `texts` with the model in `folder`; a float32 array (texts, dimensions) of unit rows.

    A folder that sentence-transformers wrote brings its own pooling; a plain Hugging Face one gets `settings.pooling`.

    Raises:
        ModelError: `folder` holds no model.
    """
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise ModelError(f"{folder} holds no model: config.json is missing; run `dvc repro models`")
    # Imported here: it loads torch, which a stage that reads stored embeddings does not need.
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    if (folder / "modules.json").is_file():
        model = SentenceTransformer(str(folder), local_files_only=True)
    else:
        transformer = Transformer(str(folder))
        pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode=settings.pooling)
        model = SentenceTransformer(modules=[transformer, pooling])
    if not texts:
        return np.empty((0, model.get_embedding_dimension() or 0), dtype=np.float32)
    vectors = model.encode(
        [settings.prefix + text for text in texts],
        batch_size=settings.batch_size,
        normalize_embeddings=True,
        show_progress_bar=sys.stderr.isatty(),
    )
    return np.asarray(vectors, dtype=np.float32)


def nearest_cosine(embeddings: Embeddings, pool: Embeddings, block: int = 1024) -> Embeddings:
    """The cosine (rows,) of each row to the nearest one of `pool`, both of unit rows; -1 for an empty pool."""
    nearest = np.full(len(embeddings), -1, dtype=np.float32)
    if len(pool):
        for start in range(0, len(embeddings), block):
            nearest[start : start + block] = (embeddings[start : start + block] @ pool.T).max(axis=1)
    return nearest


def write_embeddings(folder: Path, ids: Sequence[str], embeddings: Embeddings) -> None:
    """Write `embeddings.npy` and, in the same order, `ids.csv` into `folder`."""
    with atomic_path(folder / "embeddings.npy") as temporary:
        np.save(temporary, embeddings, allow_pickle=False)
    write_table(folder / "ids.csv", pd.DataFrame({"id": ids}))


def read_embeddings(folder: Path, ids: Sequence[str]) -> Embeddings:
    """Read the rows of `ids`, in their order, of what `write_embeddings` wrote.

    Raises:
        DataError: a row was not stored (the message names the first one).
    """
    rows = pd.Index(pd.read_csv(folder / "ids.csv", dtype=str)["id"]).get_indexer(pd.Index(ids, dtype=str))
    if (rows < 0).any():
        unknown = ids[int((rows < 0).argmax())]
        raise DataError(f"{folder}/embeddings.npy has no row {unknown!r}; run `dvc repro embed`")
    embeddings: Embeddings = np.load(folder / "embeddings.npy", allow_pickle=False)[rows]
    return embeddings
