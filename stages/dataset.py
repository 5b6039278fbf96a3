"""Stage `dataset`: the labelled rows as a `datasets` folder, checked for leaks."""

from __future__ import annotations

import shutil

from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import read_table, write_json
from stages.common.schema import DATASET, INGEST, LABEL, METRICS
from stages.synthesis.assembly import build, card, check_leaks, counts, real_rows


def main() -> None:
    """Read the labels; write the `datasets` folder `data/dataset/` with its card."""
    params = load()
    rows = real_rows(read_table(LABEL / "labels.parquet"))
    check_leaks(rows, read_table(INGEST / "gold.parquet"))
    shutil.rmtree(DATASET, ignore_errors=True)
    build(rows, params.labels.names).save_to_disk(DATASET)
    models = {"teacher": params.models["teacher"]}
    (DATASET / "README.md").write_text(card(rows, params.labels.names, models), encoding="utf-8")
    write_json(METRICS / "dataset.json", {"splits": rows["split"].value_counts().to_dict(), "train": counts(rows)})


if __name__ == "__main__":
    run_stage(main)
