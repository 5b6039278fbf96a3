"""Losses and class weights against values computed by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from stages.running.errors import ConfigError
from stages.training.config import Loss
from stages.training.losses import StudentLoss, class_weights

LABELS = ["обувь", "одежда", "посуда"]
LOGITS = torch.tensor([[0.7, 0.2, 0.1]]).log()
SOFT = torch.tensor([[0.6, 0.3, 0.1]])
ONE = torch.ones(1)


def one_row(settings: Loss, label: int, soft_label_weight: float = 0.0, counts: tuple[int, ...] = (80, 20, 0)) -> float:
    loss = StudentLoss(settings, soft_label_weight, counts, LABELS)
    return loss(LOGITS, torch.tensor([label]), SOFT, ONE).item()


def test_weighted_ce_multiplies_by_the_weight_of_the_label(loss_settings: Loss) -> None:
    settings = dataclasses.replace(loss_settings, class_weights={"обувь": 2.0})
    assert one_row(settings, 0) == pytest.approx(-2 * math.log(0.7))
    assert one_row(settings, 1) == pytest.approx(-math.log(0.2))


def test_hard_and_soft_labels_mix(loss_settings: Loss) -> None:
    expected = -(0.8 * math.log(0.7) + 0.15 * math.log(0.2) + 0.05 * math.log(0.1))
    assert one_row(loss_settings, 0, soft_label_weight=0.5) == pytest.approx(expected)


def test_label_smoothing_spreads_over_all_labels(loss_settings: Loss) -> None:
    expected = -(0.9 * math.log(0.7) + 0.1 / 3 * (math.log(0.7) + math.log(0.2) + math.log(0.1)))
    assert one_row(dataclasses.replace(loss_settings, label_smoothing=0.1), 0) == pytest.approx(expected)


def test_focal_scales_by_what_is_left_to_learn(loss_settings: Loss) -> None:
    settings = dataclasses.replace(loss_settings, name="focal", gamma=2.0)
    assert one_row(settings, 0) == pytest.approx(-(0.3**2) * math.log(0.7))


def test_logit_adjustment_adds_the_log_prior(loss_settings: Loss) -> None:
    settings = dataclasses.replace(loss_settings, name="logit_adjusted", tau=1.0)
    # The class without rows counts as one row: 0.7*80, 0.2*20, 0.1*1.
    assert one_row(settings, 1) == pytest.approx(-math.log(4 / 60.1), rel=1e-5)


def test_row_weights_make_a_weighted_mean(loss_settings: Loss) -> None:
    loss = StudentLoss(loss_settings, 0.0, (1, 1, 1), LABELS)
    value = loss(LOGITS.repeat(2, 1), torch.tensor([0, 1]), SOFT.repeat(2, 1), torch.tensor([3.0, 1.0]))
    assert value.item() == pytest.approx(-(3 * math.log(0.7) + math.log(0.2)) / 4)


@pytest.mark.parametrize(
    ("scheme", "counts", "expected"),
    [
        ("none", (90, 10, 0), [1, 1, 1]),
        ("inverse_frequency", (90, 10, 0), [5 / 9, 5, 1]),
        ("tempered", (90, 10, 0), [5 / 6, 2.5, 1]),
        # beta 0.9: 0.1 / (1 - 0.81) and 0.1 / 0.1, over their average 0.684211.
        ("effective_number", (2, 1, 0), [0.769231, 1.461538, 1]),
    ],
)
def test_class_weights(loss_settings: Loss, scheme: str, counts: tuple[int, ...], expected: list[float]) -> None:
    weights = class_weights(counts, dataclasses.replace(loss_settings, scheme=scheme), LABELS)
    assert weights.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["weighted_ce", "focal", "logit_adjusted"])
@pytest.mark.parametrize("scheme", ["none", "inverse_frequency", "tempered", "effective_number"])
def test_a_class_without_rows_keeps_loss_and_gradient_finite(loss_settings: Loss, name: str, scheme: str) -> None:
    logits = torch.tensor([[60.0, -60.0, 0.0]], requires_grad=True)
    loss = StudentLoss(dataclasses.replace(loss_settings, name=name, scheme=scheme), 0.5, (5, 3, 0), LABELS)
    value = loss(logits, torch.tensor([0]), SOFT, ONE)
    value.backward()  # type: ignore[no-untyped-call]
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "hinge"}, "train.loss.name='hinge'.*weighted_ce, focal, logit_adjusted"),
        ({"scheme": "sqrt"}, "train.loss.scheme='sqrt'.*inverse_frequency"),
        ({"class_weights": {"мебель": 1.0}}, "мебель.*обувь, одежда, посуда"),
        ({"class_weights": {"обувь": -1.0}}, "обувь=-1.0 is negative"),
    ],
)
def test_wrong_settings_are_named(loss_settings: Loss, change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StudentLoss(dataclasses.replace(loss_settings, **change), 0.0, (1, 1, 1), LABELS)  # type: ignore[arg-type]
