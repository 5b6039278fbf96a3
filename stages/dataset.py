"""Stage `dataset`: real rows, written and synthetic rows of the rare classes, as a `datasets` folder without leaks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from stages.assembly.card import card
from stages.assembly.folder import write_splits
from stages.assembly.leaks import check_leaks
from stages.assembly.rows import real_rows, synthetic_rows, written_rows
from stages.common.config import load, section
from stages.common.errors import run_stage
from stages.common.io import DATA, atomic_folder, read_table
from stages.common.labels import Labels
from stages.common.provenances import FINAL
from stages.vocabulary.config import VocabularyFiles
from stages.weights.config import Model


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    vocabulary: VocabularyFiles
    models: dict[str, Model]


def main() -> None:
    """Read labels, plan, seeds and accepted synthetic rows; write the folder `data/dataset/` with its card."""
    params = load(Params)
    plan = read_table(DATA / "analyse/plan.csv")
    rare = plan.loc[plan["rare"] | (plan["to_generate"] > 0), "label"].to_list()
    parts = [
        real_rows(read_table(DATA / "correct/labels.parquet")),
        written_rows(read_table(Path(params.vocabulary.seeds)), rare, params.labels.names),
        synthetic_rows(read_table(DATA / "synthetic" / FINAL / "accepted.parquet")),
    ]
    rows = pd.concat(parts, ignore_index=True)
    check_leaks(rows, pd.concat([read_table(DATA / f"ingest/{name}.parquet") for name in ("gold", "calibration")]))
    models = {role: params.models[role] for role in ("teacher", "generator")}
    with atomic_folder(DATA / "dataset") as folder:
        write_splits(rows, params.labels.names, folder)
        (folder / "README.md").write_text(card(rows, params.labels, models), encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
