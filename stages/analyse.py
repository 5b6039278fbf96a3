"""Stage `analyse`: count the classes, find the rare ones, and plan the synthetic rows."""

from __future__ import annotations

import logging

import pandas as pd

from stages.analysis.plan import imbalance_plan
from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import read_table, write_json, write_table
from stages.common.schema import ANALYSE, CURATE, METRICS, SPLITS

logger = logging.getLogger(__name__)


def main() -> None:
    """Read `data/curate/labels.parquet`; write `data/analyse/`, `metrics/analyse.json` and `metrics/classes.csv`."""
    params = load()
    names = params.labels.names
    reviews = read_table(CURATE / "labels.parquet")
    train_labels = reviews.loc[reviews["split"] == "train", "label"]
    plan = imbalance_plan(train_labels, names, params.generate.plan)
    classes = pd.crosstab(reviews["label"], reviews["split"]).reindex(index=names, columns=SPLITS, fill_value=0)
    write_table(ANALYSE / "plan.csv", plan)
    write_table(METRICS / "classes.csv", classes.sum(axis=1).rename_axis("label").reset_index(name="rows"))
    write_json(METRICS / "analyse.json", summary(classes, plan))
    logger.info("%d rare classes, %d synthetic rows planned", plan["rare"].sum(), plan["to_generate"].sum())


def summary(classes: pd.DataFrame, plan: pd.DataFrame) -> dict[str, object]:
    """Rows a split and class, and the plan, keyed by label."""
    return {
        "rows": {split: rows.to_dict() for split, rows in classes.items()},
        "rare_classes": int(plan["rare"].sum()),
        "to_generate": int(plan["to_generate"].sum()),
        "plan": plan.round({"share": 4}).set_index("label").to_dict("index"),
    }


if __name__ == "__main__":
    run_stage(main)
