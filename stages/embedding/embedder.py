"""Sentence embeddings of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.common.arrays import Vectors
from stages.common.vectors import VectorStore
from stages.embedding.config import Embed
from stages.embedding.cosine import unit
from stages.embedding.modules import read_modules
from stages.encoding.case import as_read
from stages.encoding.means import TokenMeans, means_space
from stages.encoding.source import ModelFolder


class Embedder:
    """The model in `folder`, loaded for the first text that nobody has encoded before, and once.

    A folder that sentence-transformers wrote brings its own pooling, and layers after it; a plain Hugging Face one gets
    `settings.pooling`.
    """

    def __init__(self, folder: Path, settings: Embed, store: VectorStore | None = None) -> None:
        """Take the model's folder.

        Raises:
            ModelError: it holds no model, or one whose vectors are made in a way that is not known here.
        """
        source = ModelFolder(folder, settings.max_tokens)
        self.settings = settings
        self._modules = read_modules(folder, settings.pooling)
        space = means_space(folder, self._modules.pooling, settings.max_tokens)
        self._means = TokenMeans(space, self._modules.pooling, source, store)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A float32 array (texts, dimensions) of unit rows."""
        read = as_read(texts, lowercase=self.settings.lowercase, prompt=self.settings.prefix)
        return unit(self._modules.after(self._means.of(read, self.settings.batch_size)))
