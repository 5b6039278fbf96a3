"""Which of many reviews a person should look at first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stages.annotating.config import STRATEGIES
from stages.common.arrays import FloatArray, IntArray
from stages.embedding.cosine import unit
from stages.running.config import require_option

# Whose distributions `pick` gets.
MEMBERS = ("teacher", "second_opinion", "student")
# Squared distances below are what rounding leaves of none.
NO_DISTANCE = 1e-9


def pick(
    strategy: str, size: int, *, probabilities: Mapping[str, FloatArray], vectors: FloatArray, seed: int
) -> IntArray:
    """Indices of the rows to check, shape (size,), the most urgent first; all rows where there are not as many.

    `random`: each as likely. `uncertainty`: see `margins`. `disagreement`: see `divergence`. `diversity`: rows far from
    one another. `mixed`: rows that would change the student most, each in another way; see `gradients`.

    Args:
        strategy: one of `STRATEGIES`.
        probabilities: of each of `MEMBERS` its distributions, shape (rows, labels).
        vectors: sentence embeddings, shape (rows, dimensions); only their directions matter.
        seed: decides what is drawn, and which of equals comes first.

    Raises:
        ConfigError: no such strategy.
    """
    require_option("annotate.strategy", strategy, STRATEGIES)
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(vectors))
    if strategy == "random":
        return shuffled[:size]
    if strategy == "uncertainty":
        return shuffled[np.argsort(margins(probabilities["student"])[shuffled], kind="stable")][:size]
    if strategy == "disagreement":
        return shuffled[np.argsort(-divergence(probabilities)[shuffled], kind="stable")][:size]
    weights = np.ones((len(vectors), 1)) if strategy == "diversity" else gradients(probabilities)
    return _spread(size, weights, unit(vectors), random)


def margins(student: FloatArray) -> FloatArray:
    """How far the likeliest label is ahead of the next, shape (rows,): margin sampling (Scheffer et al. 2001, sec. 3).

    `student` are distributions, shape (rows, labels).
    """
    second, first = np.partition(student, -2, axis=1)[:, -2:].T
    margin: FloatArray = first - second
    return margin


def divergence(probabilities: Mapping[str, FloatArray]) -> FloatArray:
    """How much the members disagree, in nats, shape (rows,): the mean divergence of each from what all say together.

    Query by committee with Kullback-Leibler divergence to the mean (McCallum & Nigam 1998, sec. 3.1), which is the
    generalised Jensen-Shannon divergence (Lin 1991).
    """
    members = np.stack([probabilities[name] for name in MEMBERS])
    spread: FloatArray = _entropy(members.mean(axis=0)) - _entropy(members).mean(axis=0)
    return spread


def gradients(probabilities: Mapping[str, FloatArray]) -> FloatArray:
    """The student's error at its logits, shape (rows, labels), if the label were what all members say together.

    The gradient of the cross-entropy. As in BADGE (Ash et al. 2020, arXiv 1906.03671, sec. 3), with the committee's
    label for the student's own: so it is large where the student is unsure, and where it is sure against the others.
    """
    together = np.mean([probabilities[name] for name in MEMBERS], axis=0)
    supposed = np.eye(together.shape[1])[together.argmax(axis=1)]
    error: FloatArray = probabilities["student"] - supposed
    return error


def _entropy(distributions: FloatArray) -> FloatArray:
    logs = np.log(distributions, out=np.zeros_like(distributions), where=distributions > 0)
    entropy: FloatArray = -(distributions * logs).sum(axis=-1)
    return entropy


def _spread(size: int, left: FloatArray, right: FloatArray, random: np.random.Generator) -> IntArray:
    """Rows that are far from one another as outer products of their `left` and `right` vectors, by k-means++.

    Each is drawn by its squared distance from the nearest before it (Arthur & Vassilvitskii 2007), and the origin, what
    would change nothing, counts as the first. Always taking the farthest (k-centre, Sener & Savarese 2018) would choose
    the odd ones out. The products are never made: the inner product of two is the product of the inner products.
    """
    lengths = np.einsum("ij,ij->i", left, left) * np.einsum("ij,ij->i", right, right)
    nearest = lengths
    free = np.ones(len(lengths), dtype=bool)
    drawn: list[int] = []
    while len(drawn) < min(size, len(lengths)):
        weights = np.where(free & (nearest > NO_DISTANCE), nearest, 0.0)
        if not weights.any():
            # All that is left lies upon what was drawn: each is as good.
            weights = free.astype(float)
        row = int(random.choice(len(weights), p=weights / weights.sum()))
        free[row] = False
        nearest = np.minimum(nearest, lengths + lengths[row] - 2 * (left @ left[row]) * (right @ right[row]))
        drawn.append(row)
    return np.array(drawn, dtype=np.int64)
