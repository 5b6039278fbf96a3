"""Heads on the student's encoder as it is: what `stages.train` makes with `train.epochs=0`, for many sets of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from scipy.special import softmax

from stages.common.arrays import FloatArray, IntArray
from stages.composition.params import Params
from stages.training.config import Train
from stages.training.encoder import Encoder
from stages.training.losses import StudentLoss
from stages.training.probe import fit_head
from stages.training.rows import Targets


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
class Heads:
    """The student's encoder of a run, and heads on it."""

    encoder: Encoder
    params: Params

    @classmethod
    def of(cls, params: Params) -> Heads:
        """On the weights that `dvc repro models` has fetched."""
        names = params.labels.names
        return cls(Encoder(params.distil.encoder, names, params.train, params.seed), params)

    def features(self, texts: list[str]) -> FloatArray:
        """What a head is given for each text, shape (texts, d)."""
        return self.encoder.features(texts)

    def rows(self, dataset: Dataset) -> Rows:
        """The rows of a split of the run's dataset."""
        features = self.features(list(dataset["text"][:]))
        return Rows(features, np.array(dataset["label"][:]), np.array(dataset["soft_labels"][:]))

    def logits(self, rows: Rows, train: Train, features: FloatArray, weights: FloatArray | None = None) -> FloatArray:
        """Logits (texts, labels) for `features` of other texts, by a head fitted to `rows` as `train` says.

        `weights` (rows,) is what each row counts for; 1 where it is not given.
        """
        names = self.params.labels.names
        counts = np.bincount(rows.labels, minlength=len(names)).tolist()
        aims = Targets(rows.labels, rows.soft_labels, np.ones(len(rows.labels)) if weights is None else weights)
        loss = StudentLoss(train.loss, train.soft_label_weight, counts, names)
        head, _ = fit_head(rows.features, aims, loss, train.linear_probe or 1.0, bias=self.encoder.has_bias())
        return head.logits(features)

    def fitted(self, rows: Rows, train: Train, features: FloatArray) -> FloatArray:
        """Distributions (texts, labels) for `features` of other texts, by a head fitted to `rows` as `train` says.

        Without temperature scaling: which label is the likeliest does not depend on it.
        """
        distributions: FloatArray = softmax(self.logits(rows, train, features), axis=1)
        return distributions
