"""What the labels of the reviews look like in figures: the teacher's, and what second opinion and people changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Labelling:
    """Shares 0…1. `coverage`: reviews whose answer could be parsed; `doubtful`: those below `label.low_confidence`.

    `mean_label_mass`: what the unconstrained model gave to any of the labels; `classes`: rows of each label.
    """

    coverage: float
    quarantined: int
    explained: int
    mean_confidence: float
    doubtful: float
    mean_label_mass: float
    classes: Mapping[str, int]


@dataclass(frozen=True)
class Curation:
    """`likely_errors`: labels that the second opinion flags; `changed` (and its share): those that became another.

    By the second opinion, or by a person.
    """

    likely_errors: int
    changed: int
    changed_share: float
    mean_weight: float
    classes: Mapping[str, int]


def labelling(labelled: pd.DataFrame, quarantined: int, low_confidence: float) -> Labelling:
    """Measure the table of stage `label`; `quarantined` rows are not in it."""
    return Labelling(
        coverage=round(len(labelled) / (len(labelled) + quarantined), 4),
        quarantined=quarantined,
        explained=int((labelled["explanation"] != "").sum()),
        mean_confidence=round(float(labelled["confidence"].mean()), 4),
        doubtful=round(float((labelled["confidence"] < low_confidence).mean()), 4),
        mean_label_mass=round(float(labelled["label_mass"].mean()), 4),
        classes=_counts(labelled["label"]),
    )


def curation(reviews: pd.DataFrame, names: Sequence[str]) -> Curation:
    """Measure the table of stage `correct`; `names` are the labels in their order."""
    changed = reviews["label"] != reviews["teacher_label"]
    counts = _counts(reviews["label"])
    return Curation(
        likely_errors=int(reviews["likely_error"].sum()),
        changed=int(changed.sum()),
        changed_share=round(float(changed.mean()), 4),
        mean_weight=round(float(reviews["weight"].mean()), 4),
        classes={name: counts.get(name, 0) for name in names},
    )


def changes(reviews: pd.DataFrame) -> pd.DataFrame:
    """The rows whose label the second opinion changed, or a person: `provenance` is human then."""
    columns = ["id", "text", "teacher_label", "teacher_confidence", "label", "confidence", "likely_error", "provenance"]
    return reviews.loc[reviews["label"] != reviews["teacher_label"], columns]


def _counts(labels: pd.Series) -> dict[str, int]:
    return {str(label): int(rows) for label, rows in labels.value_counts().items()}
