"""Stage `analyse`: find the rare classes, and plan the synthetic rows."""

from __future__ import annotations

import logging

from stages.common.labels import Labels
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, read_table, write_table
from stages.synthesis.plan import Plan, imbalance_plan

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    plan: Plan


def main() -> None:
    """Read `data/curate/labels.parquet`; write `data/analyse/plan.csv`."""
    params = load(Params)
    reviews = read_table(DATA / "curate/labels.parquet")
    plan = imbalance_plan(reviews.loc[reviews["split"] == "train", "label"], params.labels.names, params.plan)
    write_table(DATA / "analyse/plan.csv", plan)
    logger.info("%d rare classes, %d synthetic rows planned", plan["rare"].sum(), plan["to_generate"].sum())


if __name__ == "__main__":
    run_stage(main)
