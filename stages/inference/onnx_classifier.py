"""Answers of an exported student: ONNX Runtime and a tokenizer, without torch and transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from stages.common.errors import ModelError
from stages.common.manifest import MANIFEST, check_manifest, write_manifest
from stages.common.peak import physical_cores
from stages.encoding.runtime import open_graph

if TYPE_CHECKING:
    # For the types alone: it imports pandas.
    from stages.common.arrays import FloatArray

# Files of the folder: what describes the others, the tokenizer, the graph in fp32 and the same in int8.
DESCRIPTION = "classifier.json"
TOKENIZER = "tokenizer.json"
FULL = "model.onnx"
QUANTIZED = "model_quantized.onnx"
# The graph's outputs: what the student answers, and what reaches its head.
PROBABILITIES, EMBEDDING = "probabilities", "embedding"
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
        self._padding: int = described["padding"]
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.enable_truncation(described["max_tokens"])
        try:
            self._session = open_graph(folder / self.file, self.threads)
        except Exception as error:  # ONNX Runtime raises kinds of its own, which share no base
            reason = str(error).splitlines()[0]
            raise ModelError(f"{folder / self.file} cannot be loaded ({reason}); {_REMEDY}") from error

    def predict_batch(self, texts: Sequence[str]) -> FloatArray:
        """Distributions over `labels`, shape (rows, labels), from one padded batch."""
        return self._answer(self._tokenizer.encode_batch(list(texts)))

    def predict_and_embed(self, texts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """What `predict_batch` gives, and what reaches the head, shape (rows, features), by which texts are near.

        Raises:
            ModelError: the student was exported without the latter.
        """
        if EMBEDDING not in [output.name for output in self._session.get_outputs()]:
            raise ModelError(f"{self.file} has no output {EMBEDDING!r}, an older export; run `dvc repro package`")
        probabilities, embedding = self._run(self._tokenizer.encode_batch(list(texts)), PROBABILITIES, EMBEDDING)
        return probabilities, embedding

    def predict_proba(self, texts: Sequence[str], batch_size: int) -> FloatArray:
        """Distributions of any number of texts, shape (rows, labels), in the order of `texts`.

        Texts of as many tokens share a batch, and a text that occurs twice is asked once.
        """
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        encoded = self._tokenizer.encode_batch(list(numbers))
        order = sorted(range(len(encoded)), key=lambda number: len(encoded[number]), reverse=True)
        answers = np.empty((len(encoded), len(self.labels)))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            answers[chosen] = self._answer([encoded[number] for number in chosen])
        return answers[[numbers[text] for text in texts]]

    def _answer(self, encoded: Sequence[Encoding]) -> FloatArray:
        (probabilities,) = self._run(encoded, PROBABILITIES)
        return probabilities

    def _run(self, encoded: Sequence[Encoding], *outputs: str) -> list[FloatArray]:
        ids = np.full((len(encoded), max(map(len, encoded))), self._padding)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)] = tokens.ids
            mask[row, : len(tokens)] = 1
        given: list[FloatArray] = self._session.run(outputs, {"input_ids": ids, "attention_mask": mask})
        return given


def describe(folder: Path, labels: Sequence[str], max_tokens: int, padding: int, file: str) -> None:
    """Write what `OnnxClassifier` has to know beside the files that are already in `folder`.

    Args:
        folder: with tokenizer and graphs.
        labels: the categories in order.
        max_tokens: where longer texts are cut, special tokens included.
        padding: the id of the token that fills shorter texts.
        file: the graph to use.
    """
    described = {
        "labels": list(labels),
        "max_tokens": max_tokens,
        "padding": padding,
        "file": file,
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="ascii")
    # A graph that is not in use may be left out by who shares the folder.
    write_manifest(folder, [DESCRIPTION, TOKENIZER, file])
