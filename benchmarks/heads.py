"""Heads on the student's encoder as it is: what `stages.train` makes with `train.epochs=0`, for many sets of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from scipy.special import softmax
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.common.config import Params, Train
from stages.common.schema import MODELS, FloatArray
from stages.modelling.features import head_inputs, last_linear
from stages.modelling.losses import StudentLoss
from stages.modelling.metrics import IntArray
from stages.modelling.probe import fit_regression
from stages.modelling.student import build_student


@dataclass(frozen=True)
class Rows:
    """Train rows as a head sees them: features (rows, d), labels (rows,), soft labels (rows, labels)."""

    features: FloatArray
    labels: IntArray
    soft_labels: FloatArray

    def take(self, chosen: IntArray) -> Rows:
        """The rows of these numbers, a number as often as it occurs."""
        return Rows(self.features[chosen], self.labels[chosen], self.soft_labels[chosen])

    def joined(self, other: Rows) -> Rows:
        """These rows, then `other`'s."""
        return Rows(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.soft_labels, other.soft_labels]),
        )


@dataclass(frozen=True)
class Encoder:
    """The student's encoder of a run, and the names of its labels."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    params: Params

    @classmethod
    def of(cls, params: Params) -> Encoder:
        """The weights that `dvc repro models` has fetched."""
        return cls(*build_student(MODELS / "student", params.labels.names, params.train), params)

    def features(self, texts: list[str]) -> FloatArray:
        """What the head is given for each text, shape (texts, d)."""
        encoded = self.tokenizer(texts, truncation=True, max_length=self.params.train.max_tokens)
        return head_inputs(self.model, self.tokenizer, Dataset.from_dict(dict(encoded)))

    def rows(self, dataset: Dataset) -> Rows:
        """The rows of a split of the run's dataset."""
        features = self.features(list(dataset["text"][:]))
        return Rows(features, np.array(dataset["label"][:]), np.array(dataset["soft_labels"][:]))

    def fitted(self, rows: Rows, train: Train, features: FloatArray) -> FloatArray:
        """Distributions (texts, labels) for `features` of other texts, by a head fitted to `rows` as `train` says.

        Without temperature scaling: which label is the likeliest does not depend on it.
        """
        names = self.params.labels.names
        counts = np.bincount(rows.labels, minlength=len(names)).tolist()
        head = fit_regression(
            rows.features,
            torch.tensor(rows.labels),
            torch.tensor(rows.soft_labels),
            torch.ones(len(rows.labels)),
            loss=StudentLoss(train.loss, train.soft_label_weight, counts, names),
            regularisation=train.linear_probe or 1.0,
            bias=last_linear(self.model).bias is not None,
        )
        distributions: FloatArray = softmax(features @ head.weights.T + head.biases, axis=1)
        return distributions
