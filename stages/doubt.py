"""Stage `doubt`: the reviews whose label is most in doubt, and what everyone says of them."""

from __future__ import annotations

import logging
from dataclasses import asdict

import numpy as np
import pandas as pd

from stages.common.arrays import FloatArray, label_indices, probability_matrix
from stages.common.labels import Labels
from stages.common.provenances import FINAL, REAL
from stages.curation.config import Curate
from stages.inference.answers import student_probabilities
from stages.inference.config import Answer
from stages.labelling.config import Label
from stages.measures.config import Doubt
from stages.measures.doubt import Counts, doubt, reasons
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, read_table, write_json, write_table

logger = logging.getLogger(__name__)
TEACHER, SECOND_OPINION, STUDENT = "teacher", "second opinion", "student"


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    label: Label
    curate: Curate
    answer: Answer
    doubt: Doubt


def main() -> None:
    """Write `data/doubt/reviews.parquet`, the most doubtful first, and `data/doubt/counts.json`.

    A trained encoder takes long for all reviews of a shop, so the student answers `doubt.reviews` of them: those that
    teacher and second opinion leave most in doubt.
    """
    params = load(Params)
    names = params.labels.names
    labelled = read_table(DATA / "correct/labels.parquet")
    # What a person said is not in doubt.
    rows = labelled[labelled["provenance"] == REAL].reset_index(drop=True)
    teacher = read_table(DATA / "label/labels.parquet").set_index("id").loc[rows["id"]]
    opinions = {
        TEACHER: distributions(teacher, "probabilities", names),
        SECOND_OPINION: distributions(rows, "second_opinion", names),
    }
    found = judged(rows, opinions, params)
    order = np.lexsort((rows["id"], -found["doubt"]))[: params.doubt.reviews]
    chosen = rows.iloc[order].reset_index(drop=True)
    given = student_probabilities(DATA / "students" / FINAL, chosen["text"].to_list(), params.answer.batch_size, names)
    opinions = {who: opinion[order] for who, opinion in opinions.items()} | {STUDENT: given}
    read = judged(chosen, opinions, params)
    doubtful = read[read["reasons"].map(len) > 0].sort_values(["doubt", "id"], ascending=[False, True])
    write_table(DATA / "doubt/reviews.parquet", doubtful)
    counts = Counts(
        labels=len(rows), doubtful=int((found["reasons"].map(len) > 0).sum()), read=len(chosen), shown=len(doubtful)
    )
    write_json(DATA / "doubt/counts.json", asdict(counts))
    logger.info("%d of %d labels have a reason to be doubted", counts.doubtful, counts.labels)


def distributions(frame: pd.DataFrame, column: str, names: list[str]) -> FloatArray:
    """A column of distributions over the labels, shape (rows, labels), also where there are no rows."""
    return probability_matrix(frame, column).reshape(-1, len(names))


def judged(rows: pd.DataFrame, opinions: dict[str, FloatArray], params: Params) -> pd.DataFrame:
    """The rows with what each of the `opinions` names and how sure it is of that; `doubt` and `reasons`."""
    names = np.array(params.labels.names)
    labels = label_indices(rows["label"], params.labels.names)
    # The teacher has as much to say as where the labels were made.
    says = [params.curate.teacher_weight if who == TEACHER else 1.0 for who in opinions]
    low = (rows["confidence"] < params.label.low_confidence).to_numpy()
    said = {who: names[opinion.argmax(axis=1)] for who, opinion in opinions.items()}
    sure = {f"{who} confidence": opinion.max(axis=1).round(4) for who, opinion in opinions.items()}
    return rows[["id", "text", "split", "label", "confidence"]].assign(
        **said,
        **sure,
        doubt=doubt(labels, list(opinions.values()), says).round(4),
        reasons=reasons(labels, opinions, rows["likely_error"].to_numpy(dtype=bool), low),
    )


if __name__ == "__main__":
    run_stage(main)
