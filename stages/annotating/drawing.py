"""Of a finished run's reviews, those of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stages.annotating.batch import COLUMNS
from stages.annotating.config import Annotate
from stages.annotating.strategies import MEMBERS, pick
from stages.common.splits import SPLITS

if TYPE_CHECKING:
    from stages.annotating.finished import Finished


def draw(finished: Finished, names: Sequence[str], settings: Annotate, size: int, seed: int) -> pd.DataFrame:
    """A batch of `size` reviews, fewer where there are not as many: columns `COLUMNS`, and `teacher_confidence`.

    The kinds are mixed evenly and each is in its order of priority: whoever stops half-way has answered half of each.
    """
    shares = quotas(size, Counter(finished.reviews["split"]), settings)
    picked: list[tuple[float, int, str]] = []
    for split, share in shares.items():
        rows = np.flatnonzero(finished.reviews["split"] == split)
        strategy = settings.strategy if split == "train" else "random"
        chosen = pick(
            strategy,
            share,
            probabilities={name: finished.probabilities[name][rows] for name in MEMBERS},
            vectors=finished.vectors[rows],
            seed=seed,
        )
        picked += [((rank + 0.5) / share, int(row), strategy) for rank, row in enumerate(rows[chosen])]
    order = [row for _, row, _ in sorted(picked)]
    batch = finished.reviews.iloc[order].assign(
        label="", drawn=[strategy for _, _, strategy in sorted(picked)], comment=""
    )
    for name in MEMBERS:
        batch[name] = [names[index] for index in finished.probabilities[name][order].argmax(axis=1)]
    for column, name in (("confidence", "student"), ("teacher_confidence", "teacher")):
        batch[column] = [f"{value:.4f}" for value in finished.probabilities[name][order].max(axis=1)]
    return batch[[*COLUMNS, "teacher_confidence"]].reset_index(drop=True)


def quotas(size: int, available: Counter[str], settings: Annotate) -> dict[str, int]:
    """How many rows of `size` each split gives; one that has not as many leaves its share to `train`."""
    test = min(round(settings.scored_share * size), available["test"])
    validation = min(round(settings.calibration_share * size), size - test, available["validation"])
    train = min(size - test - validation, available["train"])
    return dict(zip(SPLITS, (train, validation, test), strict=True))
