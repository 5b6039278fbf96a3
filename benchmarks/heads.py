"""Heads on the student's encoder as it is: what `stages.train` makes with `train.epochs=0`, for many sets of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from scipy.special import softmax

from stages.common.arrays import FloatArray, IntArray
from stages.composition.params import Params
from stages.inference.head import Ids
from stages.training.config import Train
from stages.training.encoder import Encoder
from stages.training.lexicon import with_lexicon
from stages.training.losses import StudentLoss
from stages.training.probe import fit_head
from stages.training.rows import Targets


@dataclass(frozen=True)
class Texts:
    """What a head with a lexicon sees of texts: features (texts, d), and the tokens of each."""

    features: FloatArray
    ids: Ids

    def take(self, chosen: IntArray) -> Texts:
        """The texts of these numbers, a number as often as it occurs."""
        return Texts(self.features[chosen], [self.ids[number] for number in chosen])

    def joined(self, other: Texts) -> Texts:
        """These texts, then `other`'s."""
        return Texts(np.concatenate([self.features, other.features]), [*self.ids, *other.ids])


@dataclass(frozen=True)
class Rows:
    """Train rows: texts, labels (rows,), soft labels (rows, labels)."""

    texts: Texts
    labels: IntArray
    soft_labels: FloatArray

    @classmethod
    def checked(cls, texts: Texts, labels: IntArray, count: int) -> Rows:
        """Rows whose label, one of `count`, has all of the probability."""
        return cls(texts, labels, np.eye(count)[labels])

    def take(self, chosen: IntArray) -> Rows:
        """The rows of these numbers, a number as often as it occurs."""
        return Rows(self.texts.take(chosen), self.labels[chosen], self.soft_labels[chosen])

    def joined(self, other: Rows) -> Rows:
        """These rows, then `other`'s."""
        return Rows(
            self.texts.joined(other.texts),
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

    def texts(self, texts: Sequence[str]) -> Texts:
        """What a head is given for each text."""
        return Texts(self.encoder.features(texts), self.encoder.ids(texts))

    def rows(self, dataset: Dataset) -> Rows:
        """The rows of a split of the run's dataset."""
        texts = self.texts(dataset["text"][:])
        return Rows(texts, np.array(dataset["label"][:]), np.array(dataset["soft_labels"][:]))

    def logits(self, rows: Rows, train: Train, texts: Texts, weights: FloatArray | None = None) -> FloatArray:
        """Logits (texts, labels) for other `texts`, by a head fitted to `rows` as `train` says.

        `weights` (rows,) is what each row counts for; 1 where it is not given.
        """
        names = self.params.labels.names
        counts = np.bincount(rows.labels, minlength=len(names)).tolist()
        aims = Targets(rows.labels, rows.soft_labels, np.ones(len(rows.labels)) if weights is None else weights)
        loss = StudentLoss(train.loss, train.soft_label_weight, counts, names)
        head, _ = fit_head(rows.texts.features, aims, loss, train.linear_probe or 1.0, bias=self.encoder.has_bias())
        if train.lexicon is not None:
            head = with_lexicon(head, rows.texts.ids, self.encoder.tokens, aims, loss, train.lexicon)
        return head.logits(texts.features, texts.ids)

    def fitted(self, rows: Rows, train: Train, texts: Texts) -> FloatArray:
        """Distributions (texts, labels) for other `texts`, by a head fitted to `rows` as `train` says.

        Without temperature scaling: which label is the likeliest does not depend on it.
        """
        distributions: FloatArray = softmax(self.logits(rows, train, texts), axis=1)
        return distributions
