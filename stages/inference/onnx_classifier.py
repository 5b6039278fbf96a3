"""Answers of an exported student: ONNX Runtime and a tokenizer, without torch and transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from stages.common.manifest import MANIFEST, check_manifest, write_manifest
from stages.encoding.runtime import EMBEDDING, computed, open_graph
from stages.running.errors import ModelError
from stages.running.peak import physical_cores

if TYPE_CHECKING:
    # For the types alone: it imports pandas.
    from stages.common.arrays import FloatArray

# Files of the folder: what describes the others, the tokenizer, the graph in fp32 and the same in int8.
DESCRIPTION = "classifier.json"
TOKENIZER = "tokenizer.json"
FULL = "model.onnx"
QUANTIZED = "model_quantized.onnx"
# What the student answers; `EMBEDDING`, the other output of its graph, is what reaches its head.
PROBABILITIES = "probabilities"
_REMEDY = "copy the whole folder again, or run `dvc repro package`"


class OnnxClassifier:
    """A student that stage `export` wrote, loaded once; on the CPU, with a thread for each core.

    `labels` are its categories in order, `file` the name of the graph in use, `threads` how many compute.
    """

    def __init__(self, folder: Path) -> None:
        """Load the student.

        Raises:
            ModelError: `folder` holds no exported student, or one of its files is missing or not the one exported.
        """
        if not folder.joinpath(DESCRIPTION).is_file() and not folder.joinpath(MANIFEST).is_file():
            raise ModelError(f"{folder} holds no exported student (no {DESCRIPTION}); run `dvc repro package`")
        check_manifest(folder, ModelError, _REMEDY)
        described: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        self.labels: list[str] = described["labels"]
        self.file: str = described["file"]
        self.threads = physical_cores()
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.enable_truncation(described["max_tokens"])
        try:
            self._session = open_graph(folder / self.file, self.threads)
        except Exception as error:  # ONNX Runtime raises kinds of its own, which share no base
            reason = str(error).splitlines()[0]
            raise ModelError(f"{folder / self.file} cannot be loaded ({reason}); {_REMEDY}") from error

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Distributions of any number of texts over `labels`, shape (rows, labels), in the order of `texts`."""
        if not texts:
            return np.empty((0, len(self.labels)))
        (probabilities,) = self._computed(texts, PROBABILITIES)
        return probabilities.astype(np.float64)

    def predict_and_embed(self, texts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """What `predict_proba` gives of one text or more, and what reaches the head, by which texts are near.

        The latter has the shape (rows, features).

        Raises:
            ModelError: the student was exported without the latter.
        """
        if EMBEDDING not in [output.name for output in self._session.get_outputs()]:
            raise ModelError(f"{self.file} has no output {EMBEDDING!r}, an older export; run `dvc repro package`")
        probabilities, embedding = self._computed(texts, PROBABILITIES, EMBEDDING)
        return probabilities, embedding

    def _computed(self, texts: Sequence[str], *outputs: str) -> list[FloatArray]:
        """Each of `outputs`, shape (rows, size)."""
        encoded = self._tokenizer.encode_batch(list(texts))
        return computed(self._session, [tokens.ids for tokens in encoded], outputs, self.threads)


def describe(folder: Path, labels: Sequence[str], max_tokens: int, file: str) -> None:
    """Write what `OnnxClassifier` has to know beside the files that are already in `folder`.

    Args:
        folder: with tokenizer and graphs.
        labels: the categories in order.
        max_tokens: where longer texts are cut, special tokens included.
        file: the graph to use.
    """
    described = {
        "labels": list(labels),
        "max_tokens": max_tokens,
        "file": file,
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="ascii")
    # A graph that is not in use may be left out by who shares the folder.
    write_manifest(folder, [DESCRIPTION, TOKENIZER, file])
