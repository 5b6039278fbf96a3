"""What a finished run says of its reviews."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.common.arrays import FloatArray, Vectors, probability_matrix
from stages.common.provenances import FINAL
from stages.common.splits import SPLITS
from stages.embedding.stored import read_embeddings
from stages.inference.answers import student_probabilities
from stages.running.errors import DataError
from stages.running.io import DATA, read_table

# Of more reviews in a split so many are looked at, drawn at random: a batch is some hundreds.
MOST = 20_000


@dataclass(frozen=True)
class Finished:
    """Reviews and, in their order, what everyone says of them.

    `reviews` has the columns id, text and split; `probabilities` are distributions of each of `strategies.MEMBERS`,
    shape (reviews, labels); `vectors` are sentence embeddings, shape (reviews, dimensions).
    """

    reviews: pd.DataFrame
    probabilities: Mapping[str, FloatArray]
    vectors: Vectors


def read_finished(names: Sequence[str], batch_size: int, known: Collection[str], seed: int) -> Finished:
    """The reviews that the teacher labelled, without those whose id is in `known`.

    The teacher is read without curation, so that three can disagree. Checked reviews are never among them: `ingest`
    keeps these apart.

    Args:
        names: the categories.
        batch_size: of a student whose encoder has to run.
        known: ids of reviews to leave out.
        seed: draws `MOST` of the reviews of a split where there are more.

    Raises:
        DataError: the run is not finished, or its student is of other categories.
    """
    student = DATA / "students" / FINAL
    if not student.is_dir():
        raise DataError(f"{student} does not exist: batches are drawn from a finished run; run `make repro` first")
    opinion = read_table(DATA / "curate/labels.parquet")[["id", "second_opinion"]]
    labelled = read_table(DATA / "label/labels.parquet").merge(opinion, on="id", validate="one_to_one")
    labelled = labelled[~labelled["id"].isin(list(known))]
    random = np.random.default_rng(seed)
    parts = [labelled[labelled["split"] == split] for split in SPLITS]
    few = [part.iloc[np.sort(random.permutation(len(part))[:MOST])] for part in parts]
    rows = pd.concat(few, ignore_index=True)
    return Finished(
        reviews=rows[["id", "text", "split"]],
        probabilities={
            "teacher": probability_matrix(rows).reshape(len(rows), len(names)),
            "second_opinion": probability_matrix(rows, "second_opinion").reshape(len(rows), len(names)),
            "student": student_probabilities(student, rows["text"].to_list(), batch_size, names),
        },
        vectors=read_embeddings(DATA / "embed", rows["id"].to_list()),
    )
