"""Stage `curate`: a second opinion on the teacher's labels, and what follows from it."""

from __future__ import annotations

import logging

import pandas as pd

from stages.common.arrays import probability_matrix
from stages.common.config import load, section
from stages.common.errors import run_stage
from stages.common.io import DATA, read_table, write_table
from stages.common.labels import Labels
from stages.curation.config import Curate
from stages.curation.policy import apply_policy, likely_errors
from stages.curation.second_opinion import SecondOpinion
from stages.curation.written import fit_on_vocabulary
from stages.embedding.stored import read_embeddings
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    vocabulary: VocabularyFiles
    curate: Curate


def main() -> None:
    """Read `data/label/` and `data/embed/`; write `data/curate/`."""
    params = load(Params)
    names = params.labels.names
    vocabulary = read_vocabulary(params.vocabulary, names)
    opinion = fit_on_vocabulary(vocabulary, names, params.curate.regularisation)
    reviews = curated(read_table(DATA / "label/labels.parquet"), opinion, names, params.curate)
    write_table(DATA / "curate/labels.parquet", reviews)
    # Only to be scored: the second opinion has learnt from the seeds alone.
    write_table(
        DATA / "curate/gold.parquet", curated(read_table(DATA / "label/gold.parquet"), opinion, names, params.curate)
    )
    changed = int((reviews["label"] != reviews["teacher_label"]).sum())
    logger.info("%d of %d labels changed", changed, len(reviews))


def curated(labelled: pd.DataFrame, opinion: SecondOpinion, names: list[str], settings: Curate) -> pd.DataFrame:
    """Labels, distributions and weights after `curate.policy`; the teacher's own labels keep columns of their own."""
    if labelled.empty:
        return labelled.assign(weight=[], teacher_label=[], teacher_confidence=[], likely_error=[])
    teacher = probability_matrix(labelled)
    second = opinion.distributions(read_embeddings(DATA / "embed", labelled["id"].to_list()))
    flagged = likely_errors(teacher.argmax(axis=1), second)
    probabilities, weights = apply_policy(teacher, second, flagged, settings)
    return labelled.assign(
        label=[names[index] for index in probabilities.argmax(axis=1)],
        confidence=probabilities.max(axis=1),
        probabilities=list(probabilities),
        weight=weights,
        teacher_label=labelled["label"],
        teacher_confidence=labelled["confidence"],
        likely_error=flagged,
    )


if __name__ == "__main__":
    run_stage(main)
