"""Stage `curate`: a second opinion on the teacher's labels, and what follows from it."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from stages.analysis.embeddings import read_embeddings
from stages.common.config import Params, load
from stages.common.errors import run_stage
from stages.common.io import read_table, write_json, write_table
from stages.common.schema import CURATE, EMBED, LABEL, METRICS, probability_matrix
from stages.common.spreadsheet import escape_formulas
from stages.curation.policy import apply_policy, likely_errors
from stages.curation.second_opinion import SecondOpinion
from stages.curation.written import fit_on_vocabulary

logger = logging.getLogger(__name__)


def main() -> None:
    """Read `data/label/` and `data/embed/`; write `data/curate/` and `metrics/curate.json`."""
    params = load()
    opinion = fit_on_vocabulary(params)
    reviews = curated(read_table(LABEL / "labels.parquet"), opinion, params)
    changed = reviews[reviews["label"] != reviews["teacher_label"]]
    write_table(CURATE / "labels.parquet", reviews)
    columns = ["id", "text", "teacher_label", "teacher_confidence", "label", "confidence", "likely_error"]
    write_table(CURATE / "changes.csv", escape_formulas(changed[columns]))
    # Only to be scored: the second opinion has learnt from the seeds alone.
    write_table(CURATE / "gold.parquet", curated(read_table(LABEL / "gold.parquet"), opinion, params))
    write_json(METRICS / "curate.json", summary(reviews, params.labels.names))
    logger.info("%d of %d labels changed", len(changed), len(reviews))


def curated(labelled: pd.DataFrame, opinion: SecondOpinion, params: Params) -> pd.DataFrame:
    """Labels, distributions and weights after `curate.policy`; the teacher's own labels keep columns of their own."""
    if labelled.empty:
        return labelled.assign(weight=[], teacher_label=[], teacher_confidence=[], likely_error=[])
    names = params.labels.names
    teacher = probability_matrix(labelled)
    second = opinion.distributions(read_embeddings(EMBED, labelled["id"].to_list()))
    flagged = likely_errors(teacher.argmax(axis=1), second)
    probabilities, weights = apply_policy(teacher, second, flagged, params.curate)
    return labelled.assign(
        label=[names[index] for index in probabilities.argmax(axis=1)],
        confidence=probabilities.max(axis=1),
        probabilities=list(probabilities),
        weight=weights,
        teacher_label=labelled["label"],
        teacher_confidence=labelled["confidence"],
        likely_error=flagged,
    )


def summary(reviews: pd.DataFrame, names: list[str]) -> dict[str, object]:
    """How many labels were doubted and changed, and the class counts before and after."""
    before, after = reviews["teacher_label"].value_counts(), reviews["label"].value_counts()
    return {
        "likely_errors": int(reviews["likely_error"].sum()),
        "changed": int((reviews["label"] != reviews["teacher_label"]).sum()),
        "changed_share": round(float(np.mean(reviews["label"] != reviews["teacher_label"])), 4),
        "mean_weight": round(float(reviews["weight"].mean()), 4),
        "classes": {name: {"teacher": int(before.get(name, 0)), "curated": int(after.get(name, 0))} for name in names},
    }


if __name__ == "__main__":
    run_stage(main)
