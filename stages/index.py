"""Stage `index`: the rows that the student in use learnt from, by what its encoder makes of them, for nearest ones."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from stages.common.labels import Labels
from stages.common.manifest import write_manifest
from stages.common.provenances import FINAL
from stages.embedding.cosine import unit
from stages.inference.answers import student_features
from stages.inference.config import Answer
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, atomic_folder, write_table
from stages.training.rows import load_rows

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    answer: Answer


def main() -> None:
    """Write `data/index/`: `examples.parquet` (id, text, label, provenance) and `vectors.npy`, a row for each of it."""
    params = load(Params)
    names = params.labels.names
    rows = load_rows(DATA / "dataset", "train", names)
    examples = pd.DataFrame({name: rows[name][:] for name in ("id", "text", "provenance")})
    examples.insert(2, "label", [names[index] for index in rows["label"][:]])
    vectors = student_features(DATA / "students" / FINAL, examples["text"].to_list(), params.answer.batch_size)
    with atomic_folder(DATA / "index") as folder:
        write_table(folder / "examples.parquet", examples)
        np.save(folder / "vectors.npy", unit(vectors).astype(np.float16))
        write_manifest(folder)
    logger.info("%d examples of %d numbers each", *vectors.shape)


if __name__ == "__main__":
    run_stage(main)
