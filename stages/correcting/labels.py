"""People's labels above those of models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.common.gold import COLUMNS, PEOPLE
from stages.common.provenances import HUMAN, REAL

# What models alone said stands in the columns `machine_…` of these.
CORRECTED = ("label", "probabilities", "weight")


def corrected(
    alone: pd.DataFrame, anew: pd.DataFrame, answered: pd.DataFrame, names: Sequence[str], weight: float
) -> pd.DataFrame:
    """`anew` with people's labels, as sure as can be, and what models `alone` said of the same reviews.

    Args:
        alone, anew: as `curation.curated.curated` gives them, by a second opinion without and with answers.
        answered: rows of `matching.Matched`; those that are no row of `anew` are left out.
        names: the labels in their order.
        weight: what an answered review counts for in training.
    """
    label = anew["id"].map(answered.set_index("id")["label"])
    by_person = label.notna()
    one_hot = dict(zip(names, np.eye(len(names)), strict=True))
    rows = anew.assign(
        label=label.where(by_person, anew["label"]),
        probabilities=label.map(one_hot).where(by_person, anew["probabilities"]),
        confidence=anew["confidence"].mask(by_person, 1.0),
        weight=anew["weight"].mask(by_person, weight),
        provenance=np.where(by_person, HUMAN, REAL),
    )
    return rows.assign(**{f"machine_{name}": alone[name] for name in CORRECTED})


def checked_reviews(answered: pd.DataFrame) -> pd.DataFrame:
    """The answered reviews of the test split as a gold set (schema GOLD); `stratum` says which chance drew."""
    scored = answered[answered["split"] == "test"]
    stratum = np.where(scored["drawn"] == "random", "random", "")
    return scored.assign(gold_set=PEOPLE, stratum=stratum, flag="")[list(COLUMNS)].reset_index(drop=True)
