"""Stage `answer`: what every student says of the checked reviews; or of the test split, where nobody checked any."""

from __future__ import annotations

import logging

from stages.common.gold import scored_rows
from stages.common.labels import Labels
from stages.common.provenances import PROVENANCES
from stages.inference.answers import student_probabilities
from stages.inference.config import Answer
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, write_table
from stages.scoring.agreement import teacher_labelled

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    answer: Answer


def main() -> None:
    """Write `data/answers/<student>.parquet`, one row a review: gold_set, id, text, label, …, probabilities."""
    params = load(Params)
    names = params.labels.names
    rows = scored_rows(DATA, names)
    if rows.empty:
        logger.warning("no human-checked reviews: students answer the test split, to be held against the teacher")
        rows = teacher_labelled(DATA / "dataset/test.parquet", names)
    write_table(DATA / "answers/rows.parquet", rows)
    for student in PROVENANCES:
        logger.info("student %r answers %d reviews", student, len(rows))
        given = student_probabilities(
            DATA / "students" / student, rows["text"].to_list(), params.answer.batch_size, names
        )
        write_table(DATA / f"answers/{student}.parquet", rows[["gold_set", "id"]].assign(probabilities=list(given)))


if __name__ == "__main__":
    run_stage(main)
