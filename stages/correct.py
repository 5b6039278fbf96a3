"""Stage `correct`: people's answers put above what models said, and learnt from by the second opinion."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from stages.annotating.answers import read_answers
from stages.common.labels import Labels
from stages.common.texts import letters
from stages.correcting.config import Human
from stages.correcting.labels import checked_reviews, corrected
from stages.correcting.matching import match
from stages.curation.config import Curate
from stages.curation.curated import curated
from stages.curation.written import fit_second_opinion
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, read_table, write_json, write_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    vocabulary: VocabularyFiles
    curate: Curate
    human: Human


def main() -> None:
    """Read the answers and what models said of the reviews; write `data/correct/`."""
    params = load(Params)
    names, source = params.labels.names, params.human.answers
    alone = read_table(DATA / "curate/labels.parquet")
    checked = pd.concat([read_table(DATA / f"ingest/{name}.parquet") for name in ("gold", "calibration")])
    found = match(
        read_answers(Path(source)), read_table(DATA / "ingest/reviews.parquet"), set(alone["id"]),
        set(checked["text"].map(letters)), names, source,
    )  # fmt: skip
    learnt = found.answered[found.answered["split"] == "train"]
    anew = alone
    if len(learnt):
        vocabulary = read_vocabulary(params.vocabulary, names)
        opinion = fit_second_opinion(vocabulary, names, params.curate.regularisation, learnt[["text", "label"]])
        anew = curated(read_table(DATA / "label/labels.parquet"), opinion, names, params.curate)
    rows = corrected(alone, anew, found.answered, names, params.human.weight)
    write_table(DATA / "correct/labels.parquet", rows)
    write_table(DATA / "correct/checked.parquet", checked_reviews(found.answered))
    write_table(DATA / "correct/set_aside.csv", found.set_aside)
    counts = found.counts()
    write_json(DATA / "correct/counts.json", counts)
    if counts["set_aside"]:
        logger.warning(
            "%d of %d answers in %s are set aside: data/correct/set_aside.csv says why",
            counts["set_aside"], counts["answers"], source,
        )  # fmt: skip
    changed = int((rows["label"] != rows["machine_label"]).sum())
    logger.info("%s; %d labels changed", ", ".join(f"{count} {name}" for name, count in counts.items()), changed)


if __name__ == "__main__":
    run_stage(main)
