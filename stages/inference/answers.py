"""What several students answer, with one pass of an encoder for all that share it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from stages.common.arrays import FloatArray, Vectors
from stages.encoding.case import as_read
from stages.encoding.means import TokenMeans
from stages.inference.features import head_inputs
from stages.inference.folder import TRAINING, encoder_space, read_head, read_labels, read_tokenizer
from stages.running.errors import DataError
from stages.running.io import read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def student_probabilities(
    folder: Path, texts: Sequence[str], batch_size: int, label_names: Sequence[str] | None = None
) -> FloatArray:
    """Distributions that the student in `folder` gives to `texts`, shape (rows, labels).

    What its encoder gives is kept: neither this student nor one that shares the encoder needs it for these texts again.

    Raises:
        ModelError: `folder` holds no trained student, or a damaged one.
        DataError: the student's labels are not `label_names` in that order.
    """
    labels = read_labels(folder)
    if label_names is not None and labels != list(label_names):
        raise DataError(f"{folder} was trained on the labels {labels}, not labels.names; run `dvc repro train`")
    features, head = student_features(folder, texts, batch_size), read_head(folder)
    ids = None if head.lexicon is None else [tokens.ids for tokens in read_tokenizer(folder).encode_batch(list(texts))]
    probabilities: FloatArray = softmax(head.logits(features, ids).astype(np.float64), axis=1)
    return probabilities


def student_features(folder: Path, texts: Sequence[str], batch_size: int) -> Vectors:
    """What the encoder of the student in `folder` gives its head, shape (texts, features)."""
    means = _means(folder)
    if means is None:
        return head_inputs(encoder_space(folder), texts, partial(_load, folder), batch_size)
    read = as_read(texts, lowercase=means["lowercase"], prompt=means["prompt"])
    return _encoder(folder, means).of(read, batch_size)


def encoder_graph(folder: Path) -> Path | None:
    """The graph of the encoder of the student in `folder`, which gives its head its input; None if it was trained.

    Who computed with the encoder on this machine has written it.
    """
    means = _means(folder)
    return None if means is None else _encoder(folder, means).graph_file()


def _means(folder: Path) -> dict[str, Any] | None:
    """Where what a frozen encoder gives may be found, as stage `train` noted it."""
    note = folder / TRAINING
    means: dict[str, Any] | None = read_json(note).get("means") if note.is_file() else None
    return means


def _encoder(folder: Path, means: dict[str, Any]) -> TokenMeans:
    return TokenMeans(means["space"], means["pooling"], _Frozen(folder, means["prompt"]))


def _load(folder: Path, device: str | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    # Imported here: where all texts are known, no student is loaded.
    from stages.inference.classifier import Classifier

    classifier = Classifier(folder, device)
    return classifier.model, classifier.tokenizer


class _Frozen:
    """The encoder of the student in `folder`, whose tokenizer puts `prompt` before a text by itself."""

    def __init__(self, folder: Path, prompt: str) -> None:
        self.folder = folder
        self._prompt = prompt

    def encoder(self, dtype: str = "float32") -> PreTrainedModel:
        import torch

        # From the weights as they are stored; on a card the student may be in a precision of its own.
        model, _ = _load(self.folder, "cpu")
        return model.base_model.to(getattr(torch, dtype))  # type: ignore[return-value]

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text.removeprefix(self._prompt)).ids
        return ids

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return read_tokenizer(self.folder)
