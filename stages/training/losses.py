"""Classification losses over hard and soft labels, and the class weights that they share.

To add a loss: a function `(logits, targets, classes, settings) -> row losses`, a line in `LOSSES`, a file in
`conf/train/loss/`, and a test against values computed by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

from stages.running.config import require, require_option
from stages.training.config import Loss

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Classes:
    """Rows and loss weight of each class among the train rows; both of shape (labels,)."""

    counts: Tensor
    weights: Tensor


def weighted_ce(logits: Tensor, targets: Tensor, classes: Classes, settings: Loss) -> Tensor:
    """Cross-entropy with class weights: -sum_c w_c t_c log p_c.

    Args:
        logits: (rows, labels).
        targets: distributions of shape (rows, labels).
        classes: class counts and weights.
        settings: not used.

    Returns:
        Losses of shape (rows,).
    """
    return -(classes.weights * targets * log_softmax(logits, dim=1)).sum(dim=1)


def focal(logits: Tensor, targets: Tensor, classes: Classes, settings: Loss) -> Tensor:
    """Focal loss, -sum_c w_c t_c (1 - p_c)^gamma log p_c (Lin et al. 2017, arXiv 1708.02002, eq. 5).

    Shapes as in `weighted_ce`; `gamma` = 0 is `weighted_ce`.
    """
    log_probabilities = log_softmax(logits, dim=1)
    focus = (1 - log_probabilities.exp()) ** settings.gamma
    return -(classes.weights * targets * focus * log_probabilities).sum(dim=1)


def logit_adjusted(logits: Tensor, targets: Tensor, classes: Classes, settings: Loss) -> Tensor:
    """Cross-entropy of logits + tau log prior (Menon et al., ICLR 2021, arXiv 2007.07314, eq. 10).

    Shapes as in `weighted_ce`. A class without rows gets the prior of one row: its logarithm must stay finite.
    """
    rows = classes.counts.clamp(min=1)
    return weighted_ce(logits + settings.tau * (rows / rows.sum()).log(), targets, classes, settings)


LOSSES: Mapping[str, Callable[[Tensor, Tensor, Classes, Loss], Tensor]] = {
    "weighted_ce": weighted_ce,
    "focal": focal,
    "logit_adjusted": logit_adjusted,
}

# Unscaled weights of classes that have rows, from their counts. Effective number: Cui et al. 2019, arXiv 1901.05555.
SCHEMES: Mapping[str, Callable[[Tensor, Loss], Tensor]] = {
    "none": lambda counts, settings: torch.ones_like(counts),
    "inverse_frequency": lambda counts, settings: 1 / counts,
    "effective_number": lambda counts, settings: (1 - settings.beta) / (1 - settings.beta**counts),
    "tempered": lambda counts, settings: counts**-settings.power,
}


def class_weights(counts: Sequence[int], settings: Loss, label_names: Sequence[str]) -> Tensor:
    """Loss weight of each class, shape (labels,).

    Weights by `settings.scheme` are scaled to average 1 over the train rows, so that changing the scheme does not
    change the learning rate's meaning; a class without rows weighs 1. `settings.class_weights` then replaces the
    weights of the labels it names.

    Raises:
        ConfigError: an unknown scheme, or a weight for an unknown label.
    """
    scheme = _choose("train.loss.scheme", settings.scheme, SCHEMES)
    rows = torch.tensor(counts, dtype=torch.float64)
    raw = torch.where(rows > 0, scheme(rows.clamp(min=1), settings), 0.0)
    average = (raw * rows).sum() / rows.sum().clamp(min=1)
    weights = torch.where(rows > 0, raw / average, 1.0).float()
    for name, weight in settings.class_weights.items():
        require_option("train.loss.class_weights", name, tuple(label_names))
        require(weight >= 0, f"train.loss.class_weights: {name}={weight} is negative")
        weights[label_names.index(name)] = weight
    return weights


class StudentLoss:
    """The configured loss of a batch: mixes hard and soft labels, smooths them, weighs classes and rows."""

    def __init__(
        self, settings: Loss, soft_label_weight: float, counts: Sequence[int], label_names: Sequence[str]
    ) -> None:
        """Choose the loss and weigh the classes by their `counts` of train rows.

        Raises:
            ConfigError: an unknown loss or scheme, or a weight for an unknown label.
        """
        self.settings = settings
        self.soft_label_weight = soft_label_weight
        self.row_losses = _choose("train.loss.name", settings.name, LOSSES)
        self.classes = Classes(torch.tensor(counts).float(), class_weights(counts, settings, label_names))

    def __call__(self, logits: Tensor, labels: Tensor, soft_labels: Tensor, row_weights: Tensor) -> Tensor:
        """Mean loss, weighted by `row_weights` (rows,).

        Args:
            logits: (rows, labels).
            labels: (rows,) label indices.
            soft_labels: (rows, labels) distributions.
            row_weights: (rows,) sample weights.
        """
        # Half-precision logits lose the small probabilities that soft labels are about.
        logits = logits.float()
        classes = Classes(self.classes.counts.to(logits.device), self.classes.weights.to(logits.device))
        losses = self.row_losses(logits, self._targets(labels, soft_labels), classes, self.settings)
        return (row_weights * losses).sum() / row_weights.sum().clamp(min=torch.finfo(losses.dtype).tiny)

    def _targets(self, labels: Tensor, soft_labels: Tensor) -> Tensor:
        hard = one_hot(labels, soft_labels.shape[1]).to(soft_labels.dtype)
        mixed = torch.lerp(hard, soft_labels, self.soft_label_weight)
        smoothing = self.settings.label_smoothing
        return (1 - smoothing) * mixed + smoothing / soft_labels.shape[1]


def _choose(key: str, name: str, options: Mapping[str, Entry]) -> Entry:
    require_option(key, name, tuple(options))
    return options[name]
