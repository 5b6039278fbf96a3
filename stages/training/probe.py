"""Linear probing: a head that starts from a regression on the frozen encoder's features, by the configured loss.

A random head pulls the encoder away from what it knows while it learns; one that fits already does not (LP-FT, Kumar
et al., ICLR 2022, arXiv 2202.10054). It also spares the few steps that a small data set has.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import OptimizeResult, minimize
from scipy.sparse import csr_array
from sklearn.preprocessing import StandardScaler

from stages.common.arrays import FloatArray
from stages.inference.head import Head
from stages.training.losses import StudentLoss
from stages.training.rows import Targets

logger = logging.getLogger(__name__)

MAX_STEPS = 300


def fit_head(
    features: FloatArray, aims: Targets, loss: StudentLoss, regularisation: float, *, bias: bool
) -> tuple[Head, list[float]]:
    """A head fitted to `features` by the student's loss, and the objective at the start and after each step of L-BFGS.

    Args:
        features: (rows, features), what reaches the head.
        aims: what the rows shall be answered.
        loss: what is minimised, beside the penalty.
        regularisation: inverse strength of the L2 penalty on standardised features (scikit-learn's C).
        bias: whether the head has one.
    """
    regression = fit_regression(features, aims, loss, regularisation, bias=bias)
    losses = regression.losses
    logger.info("linear probe: loss %.3f to %.3f in %d steps", losses[0], losses[-1], len(losses) - 1)
    weight = torch.from_numpy(regression.weights).float()
    return Head(weight, torch.from_numpy(regression.biases).float() if bias else None), losses


@dataclass(frozen=True)
class Regression:
    """Weights (labels, features) and biases (labels,) for plain features, and the objective after each step."""

    weights: FloatArray
    biases: FloatArray
    losses: list[float]


def fit_regression(
    features: FloatArray, aims: Targets, loss: StudentLoss, regularisation: float, *, bias: bool
) -> Regression:
    """Minimise `loss` and an L2 penalty on standardised features by L-BFGS.

    Args:
        features: (rows, features).
        aims: what the rows shall be answered.
        loss: what is minimised, beside the penalty.
        regularisation: scikit-learn's C.
        bias: without one the regression goes through the origin: features are scaled, not centred.
    """
    scaler = StandardScaler(with_mean=bias)
    inputs = scaler.fit_transform(features).astype(np.float64)
    found, losses = minimised(inputs, aims, loss, regularisation, bias=bias)
    size = inputs.shape[1]
    weights = found[:, :size] / scaler.scale_
    biases = found[:, size] - weights @ scaler.mean_ if bias else np.zeros(len(found))
    return Regression(weights, biases, losses)


def minimised(
    inputs: FloatArray | csr_array, aims: Targets, loss: StudentLoss, regularisation: float, *, bias: bool
) -> tuple[FloatArray, list[float]]:
    """What minimises `loss` and an L2 penalty, by L-BFGS: weights, and biases in the last column with `bias`.

    `inputs` (rows, features) are in double precision and may be sparse; otherwise as `fit_regression`. Comes with the
    objective at the start and after each step.
    """
    answers = aims.tensors()
    size, outputs = inputs.shape[1], aims.soft_labels.shape[1]

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        # torch differentiates the loss by the logits alone: sparse inputs go 2.6 times as fast without it.
        parameters = flat.reshape(outputs, size + bias)
        weights, biases = parameters[:, :size], parameters[:, size:]
        logits = torch.from_numpy(inputs @ weights.T + biases.sum(axis=1)).requires_grad_()
        value = loss(logits, *answers)
        (by_logits,) = torch.autograd.grad(value, logits)
        slopes = by_logits.numpy()
        penalty = (weights**2).sum() / (2 * regularisation * inputs.shape[0])
        gradient = np.empty_like(parameters)
        gradient[:, :size] = (inputs.T @ slopes).T + weights / (regularisation * inputs.shape[0])
        gradient[:, size:] = slopes.sum(axis=0)[:, None]
        return value.item() + penalty, gradient.ravel()

    def note(intermediate_result: OptimizeResult) -> None:
        losses.append(float(intermediate_result.fun))

    start = np.zeros(outputs * (size + bias))
    losses = [objective(start)[0]]
    found = minimize(objective, start, jac=True, method="L-BFGS-B", callback=note, options={"maxiter": MAX_STEPS})
    return found.x.reshape(outputs, size + bias), losses
