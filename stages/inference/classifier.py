"""Answers of a trained student."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import stages.encoding.sentence_classifier  # noqa: F401  # transformers learns of its architecture
from stages.common.arrays import FloatArray
from stages.encoding.quiet import quiet_transformers
from stages.inference.folder import REMEDY, read_labels
from stages.running.errors import ModelError


class Classifier:
    """A trained student, loaded once; on the graphics card, in the precision it was trained in, if there is one."""

    def __init__(self, folder: Path, device: str | None = None) -> None:
        """Load the student, on `device` if one is named.

        Raises:
            ModelError: `folder` holds no trained student, or a damaged one.
        """
        self.labels = read_labels(folder)
        quiet_transformers()
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            dtype = torch.float32 if self.device.type == "cpu" else "auto"
            self.model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
        except Exception as error:  # transformers and safetensors raise kinds of their own, which share no base
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{folder} cannot be loaded ({reason}); {REMEDY}") from error
        self.model.to(self.device).eval()

    def predict_proba(self, texts: Sequence[str], batch_size: int = 64) -> FloatArray:
        """Distributions of any number of texts, shape (rows, labels), in the order of `texts`.

        Texts of similar length share a batch: reviews padded to the longest one would cost several times more.
        """
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]), reverse=True)
        answers = np.empty((len(texts), len(self.labels)), dtype=np.float64)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            answers[chosen] = self._predict_batch([texts[index] for index in chosen])
        return answers

    @torch.inference_mode()
    def _predict_batch(self, texts: Sequence[str]) -> FloatArray:
        """Distributions over `labels`, shape (rows, labels), from one padded batch."""
        batch = self.tokenizer(list(texts), truncation=True, padding=True, return_tensors="pt").to(self.device)
        probabilities = self.model(**batch).logits.float().softmax(dim=1)
        return np.asarray(probabilities.cpu())
