"""The imbalance plan: which classes are rare, and how many synthetic rows each of them needs; section `plan`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

import pandas as pd

from stages.common.provenances import SYNTHETIC_STEPS
from stages.running.config import require, section


@section
class Plan:
    """The imbalance rule: a class is rare if it holds less than `rare_share` of the real train rows.

    `wanted` is how many rows (real + synthetic) a rare class shall have after all steps; `override` sets the number
    to generate by hand for the classes it names.
    """

    rare_share: float
    wanted: int
    override: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(0 <= self.rare_share <= 1, f"plan.rare_share={self.rare_share} is not within 0…1")
        require(self.wanted >= 0, f"plan.wanted={self.wanted} must not be negative")
        for name, rows in self.override.items():
            require(rows >= 0, f"plan.override: {rows} rows for {name!r} must not be negative")


def imbalance_plan(train_labels: pd.Series, names: Sequence[str], plan: Plan) -> pd.DataFrame:
    """Plan the synthetic rows from the labels of the real train rows.

    Returns one row a label, in the order of `names`: label, real_rows, share (of the train rows), rare (bool),
    wanted (real and synthetic rows in the end) and to_generate; wanted = real_rows + to_generate.
    `plan.override` replaces to_generate, for a class that is not rare as well.

    Raises:
        ConfigError: `plan.override` names a class that is not in `names`.
    """
    unknown = sorted(set(plan.override) - set(names))
    require(not unknown, f"plan.override names {unknown}; the labels are {', '.join(names)}")
    frame = pd.DataFrame({"label": list(names)})
    frame["real_rows"] = train_labels.value_counts().reindex(list(names), fill_value=0).to_numpy()
    frame["share"] = frame["real_rows"] / max(len(train_labels), 1)
    frame["rare"] = frame["share"] < plan.rare_share
    missing = (plan.wanted - frame["real_rows"]).clip(lower=0).where(frame["rare"], 0)
    frame["to_generate"] = [plan.override.get(name, rows) for name, rows in zip(names, missing, strict=True)]
    frame["wanted"] = frame["real_rows"] + frame["to_generate"]
    return frame[["label", "real_rows", "share", "rare", "wanted", "to_generate"]]


def step_wanted(plan: pd.DataFrame) -> dict[str, int]:
    """Rows to write in one step, by label: an equal part of what the plan asks for in all."""
    due = plan[plan["to_generate"] > 0]
    return {
        str(label): -(-int(rows) // len(SYNTHETIC_STEPS))
        for label, rows in zip(due["label"].to_list(), due["to_generate"].to_list(), strict=True)
    }


def shortfall(candidates: pd.DataFrame, wanted: Mapping[str, int]) -> dict[str, int]:
    """How many rows each label lacks of `wanted` among the accepted `candidates` (columns label, reason)."""
    have = candidates.loc[candidates["reason"] == "", "label"].value_counts()
    return {label: rows - int(have.get(label, 0)) for label, rows in wanted.items() if have.get(label, 0) < rows}
