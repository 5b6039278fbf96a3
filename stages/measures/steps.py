"""What became of the candidates of a step of the synthesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from stages.measures.synthetic import Pair


@dataclass(frozen=True)
class StepMeasures:
    """`candidates` by what became of them; `shortfall`: rows that a label lacks; `measures` over all labels."""

    candidates: Mapping[str, int]
    accepted_share: float | None
    shortfall: Mapping[str, int]
    measures: Mapping[str, Pair]


def became(candidates: pd.DataFrame, reasons: tuple[str, ...]) -> dict[str, int]:
    """How many were accepted, and how many failed by each of `reasons`, with zeros."""
    counts = candidates["reason"].value_counts()
    return {"accepted": int(counts.get("", 0)), **{reason: int(counts.get(reason, 0)) for reason in reasons}}


def rejected(candidates: pd.DataFrame) -> pd.DataFrame:
    """What was thrown out, and why."""
    return candidates.loc[candidates["reason"] != "", ["reason", "intended", "read_as", "mean_logprob", "text"]]
