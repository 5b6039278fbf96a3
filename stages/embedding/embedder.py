"""Sentence embeddings of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stages.common.arrays import Vectors
from stages.common.errors import ModelError
from stages.common.fingerprint import code_fingerprint, fingerprint
from stages.common.vectors import VectorStore, space
from stages.embedding.config import Embed

# Texts between two writes to disk on a graphics card; those of like length among them share a batch.
AT_A_TIME = 1024


class Embedder:
    """The model in `folder`, loaded for the first text that nobody has embedded before, and once.

    A folder that sentence-transformers wrote brings its own pooling; a plain Hugging Face one gets `settings.pooling`.
    """

    def __init__(self, folder: Path, settings: Embed, store: VectorStore | None = None) -> None:
        """Take the model's folder.

        Raises:
            ModelError: it holds no model.
        """
        if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
            raise ModelError(f"{folder} holds no model: config.json is missing; run `dvc repro models`")
        self.folder = folder
        self.settings = settings
        self.store = store or VectorStore()
        weights = fingerprint(folder, without=["provenance.json"])
        self.space = space("embedding", weights, settings.pooling, code_fingerprint(__file__))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A float32 array (texts, dimensions) of unit rows."""
        return self.store.of(self.space, [self.settings.prefix + text for text in texts], self._compute, "embed")

    def _compute(self, texts: Sequence[str]) -> Iterator[Vectors]:
        if not texts:
            yield np.empty((0, self._model.get_embedding_dimension() or 0), dtype=np.float32)
        # How sums round depends on which texts share a batch. On a CPU a text by itself costs little more, and what it
        # gets follows from it alone, whatever was embedded before.
        alone = self._model.device.type == "cpu"
        step, batch = (1, 1) if alone else (AT_A_TIME, self.settings.batch_size)
        for start in range(0, len(texts), step):
            part = list(texts[start : start + step])
            vectors = self._model.encode(part, batch_size=batch, normalize_embeddings=True, show_progress_bar=False)
            yield np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _model(self) -> Any:
        # Imported here: it loads torch, which a run whose texts are all known does not need.
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        if (self.folder / "modules.json").is_file():
            return SentenceTransformer(str(self.folder), local_files_only=True)
        transformer = Transformer(str(self.folder))
        pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode=self.settings.pooling)
        return SentenceTransformer(modules=[transformer, pooling])
