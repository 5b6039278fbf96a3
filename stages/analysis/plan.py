"""The imbalance plan: which classes are rare, and how many synthetic rows each of them needs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from stages.common.config import Plan, require


def imbalance_plan(train_labels: pd.Series, names: Sequence[str], plan: Plan) -> pd.DataFrame:
    """Plan the synthetic rows from the labels of the real train rows.

    Returns one row a label, in the order of `names`: label, real_rows, share (of the train rows), rare (bool),
    wanted (real and synthetic rows in the end) and to_generate; wanted = real_rows + to_generate.
    `plan.override` replaces to_generate, for a class that is not rare as well.

    Raises:
        ConfigError: `plan.override` names a class that is not in `names`.
    """
    unknown = sorted(set(plan.override) - set(names))
    require(not unknown, f"generate.plan.override names {unknown}; the labels are {', '.join(names)}")
    frame = pd.DataFrame({"label": list(names)})
    frame["real_rows"] = train_labels.value_counts().reindex(list(names), fill_value=0).to_numpy()
    frame["share"] = frame["real_rows"] / max(len(train_labels), 1)
    frame["rare"] = frame["share"] < plan.rare_share
    missing = (plan.wanted - frame["real_rows"]).clip(lower=0).where(frame["rare"], 0)
    frame["to_generate"] = [plan.override.get(name, rows) for name, rows in zip(names, missing, strict=True)]
    frame["wanted"] = frame["real_rows"] + frame["to_generate"]
    return frame[["label", "real_rows", "share", "rare", "wanted", "to_generate"]]
