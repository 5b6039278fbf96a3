"""Stage `dataset`: real, written, and (of rare classes) synthetic rows, as a `datasets` folder without leaks."""

from __future__ import annotations

import pandas as pd

from stages.assembly.card import card
from stages.assembly.folder import write_splits
from stages.assembly.leaks import check_leaks, unlike
from stages.assembly.rows import real_rows, synthetic_rows, written_rows
from stages.common.labels import Labels
from stages.common.provenances import FINAL
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, atomic_folder, read_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary
from stages.weights.config import Model


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    vocabulary: VocabularyFiles
    models: dict[str, Model]


def main() -> None:
    """Read labels, what was written, and accepted synthetic rows; write the folder `data/dataset/` with its card."""
    params = load(Params)
    vocabulary = read_vocabulary(params.vocabulary, params.labels.names)
    real = real_rows(read_table(DATA / "correct/labels.parquet"))
    checked = pd.concat([read_table(DATA / f"ingest/{name}.parquet") for name in ("gold", "calibration")])
    held_out = pd.concat([real.loc[real["split"] != "train", "text"], checked["text"]])
    names = unlike(vocabulary.names(), held_out)
    mixed = unlike(read_table(DATA / "mix/rows.parquet"), held_out)
    written = pd.concat([vocabulary.examples(), names, mixed])
    parts = [
        real,
        written_rows(written, params.labels.names),
        synthetic_rows(read_table(DATA / "synthetic" / FINAL / "accepted.parquet")),
    ]
    rows = pd.concat(parts, ignore_index=True)
    check_leaks(rows, checked)
    models = {role: params.models[role] for role in ("teacher", "generator")}
    with atomic_folder(DATA / "dataset") as folder:
        write_splits(rows, params.labels.names, folder)
        (folder / "README.md").write_text(card(rows, params.labels, models), encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
