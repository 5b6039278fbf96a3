"""What several students answer, with one pass of an encoder for all that share it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from stages.common.arrays import FloatArray, Vectors
from stages.common.errors import DataError
from stages.common.io import read_json
from stages.encoding.means import TokenMeans
from stages.inference.features import head_inputs
from stages.inference.folder import TRAINING, encoder_space, read_head, read_labels

if TYPE_CHECKING:
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
    features = student_features(folder, texts, batch_size)
    probabilities: FloatArray = softmax(read_head(folder).logits(features).astype(np.float64), axis=1)
    return probabilities


def student_features(folder: Path, texts: Sequence[str], batch_size: int) -> Vectors:
    """What the encoder of the student in `folder` gives its head, shape (texts, features)."""
    note = folder / TRAINING
    means = read_json(note).get("means") if note.is_file() else None
    student = _Student(folder, means["prompt"] if means else "")
    if means is None:
        return head_inputs(encoder_space(folder), texts, student.loaded, batch_size)
    prompted = [means["prompt"] + text for text in texts]
    return TokenMeans(means["space"], means["pooling"], student).of(prompted, batch_size)


class _Student:
    """The student in `folder`, loaded where some text is not known; its tokenizer puts `prompt` before it by itself."""

    def __init__(self, folder: Path, prompt: str) -> None:
        self.folder = folder
        self._prompt = prompt

    def loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        return self._classifier

    def encoder(self, dtype: str = "float32") -> PreTrainedModel:
        import torch

        return self._classifier[0].base_model.to(getattr(torch, dtype))  # type: ignore[return-value]

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self._classifier[1](text.removeprefix(self._prompt), truncation=True)["input_ids"]
        return ids

    @cached_property
    def _classifier(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        # Imported here: where all texts are known, no student is loaded.
        from stages.inference.classifier import Classifier

        classifier = Classifier(self.folder)
        return classifier.model, classifier.tokenizer
