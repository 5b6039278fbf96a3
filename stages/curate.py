"""Stage `curate`: a second opinion on the teacher's labels, and what follows from it."""

from __future__ import annotations

import logging

from stages.common.labels import Labels
from stages.curation.config import Curate
from stages.curation.curated import curated
from stages.curation.written import fit_second_opinion
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, read_table, write_table
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
    opinion = fit_second_opinion(vocabulary, names, params.curate.regularisation)
    reviews = curated(read_table(DATA / "label/labels.parquet"), opinion, names, params.curate)
    write_table(DATA / "curate/labels.parquet", reviews)
    # Only to be scored: the second opinion has learnt from what was written, alone and among sentences of train
    # reviews, and from no checked review.
    write_table(
        DATA / "curate/gold.parquet", curated(read_table(DATA / "label/gold.parquet"), opinion, names, params.curate)
    )
    changed = int((reviews["label"] != reviews["teacher_label"]).sum())
    logger.info("%d of %d labels changed", changed, len(reviews))


if __name__ == "__main__":
    run_stage(main)
