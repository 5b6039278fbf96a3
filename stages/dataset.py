"""Stage `dataset`: real rows, written and synthetic rows of the rare classes, as a `datasets` folder without leaks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import read_table, write_json
from stages.common.schema import ANALYSE, CURATE, DATASET, FINAL, INGEST, METRICS, SYNTHETIC
from stages.synthesis.assembly import build, card, check_leaks, counts, real_rows, synthetic_rows, written_rows


def main() -> None:
    """Read labels, plan, seeds and accepted synthetic rows; write the folder `data/dataset/` with its card."""
    params = load()
    names = params.labels.names
    plan = read_table(ANALYSE / "plan.csv")
    rare = plan.loc[plan["to_generate"] > 0, "label"].to_list()
    parts = [
        real_rows(read_table(CURATE / "labels.parquet")),
        written_rows(read_table(Path(params.generate.seeds)), rare, names),
        synthetic_rows(read_table(SYNTHETIC / FINAL / "accepted.parquet")),
    ]
    rows = pd.concat(parts, ignore_index=True)
    checked = [read_table(INGEST / f"{name}.parquet") for name in ("gold", "calibration")]
    check_leaks(rows, pd.concat(checked))
    shutil.rmtree(DATASET, ignore_errors=True)
    build(rows, names).save_to_disk(DATASET)
    models = {role: params.models[role] for role in ("teacher", "generator")}
    (DATASET / "README.md").write_text(card(rows, names, models), encoding="utf-8")
    write_json(METRICS / "dataset.json", {"splits": rows["split"].value_counts().to_dict(), "train": counts(rows)})


if __name__ == "__main__":
    run_stage(main)
