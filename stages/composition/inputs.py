"""What the files named in params.yaml hold, checked before anything works for hours on them."""

from __future__ import annotations

import logging
from pathlib import Path

from stages.annotating.answers import read_answers
from stages.common.provenances import SYNTHETIC_STEPS
from stages.common.templates import load_template
from stages.common.texts import letters
from stages.composition.params import Params
from stages.composition.room import too_long
from stages.correcting.matching import numbered, require_labels
from stages.ingestion.inputs import raw_texts, read_calibration, read_gold, reserved
from stages.ingestion.intake import Intake
from stages.running.config import require
from stages.running.io import DATA
from stages.vocabulary.vocabulary import read_vocabulary

logger = logging.getLogger(__name__)

# A larger file of reviews is looked into, and left to stage `ingest`: composing is to take seconds.
MOST_BYTES = 2**24


def check_inputs(params: Params) -> None:
    """Read every file that a user writes, as the stages will; warn of reviews that the teacher may have no room for.

    Raises:
        ConfigError, DataError: what some stage would stop at: an unknown label, a seed that is a checked review, a
            prompt that is no template, too few reviews for a split, and whatever keeps a file from being read.
    """
    names = params.labels.names
    for label in params.train.loss.class_weights:
        require(label in names, f"train.loss.class_weights: {label!r} is not one of {', '.join(names)}")
    folder = Path(params.data.gold.folder).resolve()
    require(
        not DATA.resolve().is_relative_to(folder),
        f"data.gold.folder={params.data.gold.folder} holds {DATA}/, the results of the run; put checked files into a "
        "folder of their own",
    )
    for template in (params.prompt.template, *(getattr(params.generate, step).template for step in SYNTHETIC_STEPS)):
        load_template(template, str)
    vocabulary = read_vocabulary(params.vocabulary, names)
    if warning := too_long(params, vocabulary):
        logger.warning(warning)
    gold = read_gold(params.data, names)
    calibration = read_calibration(params.data, names, gold)
    source = params.human.answers
    require(Path(source).is_file(), f"human.answers={source} does not exist; of no answers it has the header alone")
    answers = numbered(read_answers(Path(source)))
    intake = Intake(params.data, reserved(gold, calibration, vocabulary.seeds))
    reviews = raw_texts(params.data)
    if Path(params.data.path).is_file() and Path(params.data.path).stat().st_size > MOST_BYTES:
        next(reviews)
        return
    of_this_run: set[str] = set()
    for rows, texts in reviews:
        taken, _ = intake.take_in(rows, texts)
        if len(answers):
            of_this_run.update(taken["text"].map(letters))
    intake.counts(gold, calibration)
    require_labels(answers[answers["key"].isin(of_this_run)], names, source)
