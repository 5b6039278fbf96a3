"""The labels of a run after the second opinion."""

from __future__ import annotations

import pandas as pd

from stages.common.arrays import probability_matrix
from stages.curation.config import Curate
from stages.curation.policy import apply_policy, likely_errors
from stages.curation.second_opinion import SecondOpinion
from stages.embedding.stored import read_embeddings
from stages.running.io import DATA


def curated(labelled: pd.DataFrame, opinion: SecondOpinion, names: list[str], settings: Curate) -> pd.DataFrame:
    """Labels, distributions and weights after `curate.policy`; the teacher's own labels keep columns of their own.

    Args:
        labelled: a table of stage `label`, of whose texts `embed` left embeddings.
        opinion: what is asked beside the teacher.
        names: the labels in their order.
        settings: the policy.
    """
    if labelled.empty:
        return labelled.assign(weight=[], teacher_label=[], teacher_confidence=[], second_opinion=[], likely_error=[])
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
        second_opinion=list(second),
        likely_error=flagged,
    )
