"""Answers of a trained student."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stages.common.errors import DataError, ModelError
from stages.common.schema import FloatArray
from stages.modelling.student import quiet_transformers


class Classifier:
    """A trained student, loaded once; on the graphics card, in the precision it was trained in, if there is one."""

    def __init__(self, folder: Path) -> None:
        """Load the student.

        Raises:
            ModelError: `folder` holds no trained student.
        """
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"{folder} holds no trained student (no config.json); run `dvc repro train`, or name another"
            )
        quiet_transformers()
        cuda = torch.cuda.is_available()
        self.device = torch.device("cuda" if cuda else "cpu")
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="auto" if cuda else torch.float32)
        self.model.to(self.device).eval()
        self.labels: list[str] = [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str]) -> FloatArray:
        """Distributions over `labels`, shape (rows, labels), from one padded batch."""
        batch = self.tokenizer(list(texts), truncation=True, padding=True, return_tensors="pt").to(self.device)
        probabilities = self.model(**batch).logits.float().softmax(dim=1)
        return np.asarray(probabilities.cpu())

    def probabilities_of_all(self, texts: Sequence[str], batch_size: int) -> FloatArray:
        """Distributions of any number of texts, shape (rows, labels), in the order of `texts`.

        Texts of similar length share a batch: reviews padded to the longest one would cost several times more.
        """
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]), reverse=True)
        answers = np.empty((len(texts), len(self.labels)), dtype=np.float64)
        with tqdm(total=len(texts), desc="classify", unit="review", disable=None) as progress:
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                answers[chosen] = self.probabilities([texts[index] for index in chosen])
                progress.update(len(chosen))
        return answers


def predict_probabilities(
    folder: Path, texts: Sequence[str], batch_size: int, label_names: Sequence[str] | None = None
) -> FloatArray:
    """Distributions that the student in `folder` gives to `texts`, shape (rows, labels).

    Raises:
        ModelError: `folder` holds no trained student.
        DataError: the student's labels are not `label_names` in that order.
    """
    classifier = Classifier(folder)
    if label_names is not None and classifier.labels != list(label_names):
        raise DataError(
            f"{folder} was trained on the labels {classifier.labels}, not labels.names; run `dvc repro train`"
        )
    return classifier.probabilities_of_all(texts, batch_size)
