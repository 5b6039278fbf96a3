"""Reviews worth checking, and people's answers taken back: `python -m stages.annotate [--rows N | --answers FILE]`."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from pathlib import Path

import pandas as pd

from stages.annotating.answers import merge, read_answers
from stages.annotating.batch import FILE, aside, put_aside, read_batch, read_drawn, write_batch
from stages.annotating.config import Annotate
from stages.annotating.drawing import draw
from stages.annotating.taking_back import keep_aside, read_given, take
from stages.common.labels import Labels
from stages.correcting.config import Human
from stages.inference.config import Answer
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, read_table

logger = logging.getLogger(__name__)

# Rows that are named one by one; all of them stand in set_aside.csv.
NAMED = 10
# What becomes of answers, by the split of their reviews.
ROLES = {"train": "to learn from", "validation": "for the confidence", "test": "to be scored by"}


@section
class Params:
    """What this command reads of params.yaml."""

    seed: int
    labels: Labels
    answer: Answer
    human: Human
    annotate: Annotate


def main() -> None:
    """Draw a batch into the folder of `human.answers`, or put the answers of `--answers` into that file."""
    parser = argparse.ArgumentParser(description="Draw reviews worth checking, or take people's answers back.")
    parser.add_argument("--rows", type=int, default=100, metavar="N", help="reviews to draw (default: %(default)s)")
    parser.add_argument("--new", action="store_true", help="put the open batch aside, and draw a new one")
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="CSV, workbook or export of Label Studio to take answers from"
    )
    options = parser.parse_args()
    if options.rows < 1:
        parser.error("--rows must be at least 1")
    if options.new and options.answers:
        parser.error("--new draws a batch and --answers takes answers; do one after the other")
    params = load(Params)
    if options.answers:
        take_back(params, options.answers)
    else:
        open_batch(params, options.rows, new=options.new)


def open_batch(params: Params, size: int, *, new: bool) -> None:
    """Draw a batch of `size` reviews, unless one is open; `new` puts that aside."""
    answers = Path(params.human.answers)
    folder = answers.parent
    answered = read_answers(answers)["id"].to_list()
    before = (folder / FILE).exists()
    if before and not new and _still_open(folder, answered):
        return
    # Imported here: torch takes seconds, and whoever brings answers or has an open batch needs none of it.
    from stages.annotating.finished import read_finished

    names = params.labels.names
    # After each batch that is put aside, chance draws otherwise.
    seed = params.seed + len(aside(folder)) + before
    finished = read_finished(names, params.answer.batch_size, answered, seed)
    batch = draw(finished, names, params.annotate, size, seed)
    if batch.empty:
        print(f"Every review of this run is answered in {answers}; run make repro.")
        return
    if before:
        print(f"The batch before lies in {put_aside(folder)}.")
    write_batch(folder, batch, names)
    if len(batch) < size:
        print(f"No more than {len(batch)} reviews of this run are left to be answered.")
    print(f"{len(batch)} reviews to check: {_by_role(batch['split'])}; the first by {params.annotate.strategy}.")
    _tell_ways(folder)


def take_back(params: Params, source: Path) -> None:
    """Put the answers of the file `source` into `human.answers`; name what cannot be taken."""
    answers = Path(params.human.answers)
    folder = answers.parent
    given = read_given(source)
    drawn = read_drawn(folder)
    reviews = read_table(DATA / "ingest/reviews.parquet")
    known = pd.concat([drawn, read_answers(answers), reviews])
    texts = dict(zip(known["id"], known["text"], strict=True))
    taken = take(given, texts, dict(zip(drawn["id"], drawn["drawn"], strict=True)), params.labels.names)
    for row, text, other in taken.changed.head(NAMED).itertuples(index=False):
        logger.warning(
            "%s, %s: its text is now %r; taken by its id, as the answer to %r", source, row, other[:60], text[:60]
        )
    for reason, rows in taken.set_aside.groupby("reason", sort=False)["row"]:
        more = f" and {len(rows) - NAMED} more" * (len(rows) > NAMED)
        logger.warning("%s, %s%s: %s", source, ", ".join(rows[:NAMED]), more, reason)
    merged = merge(answers, taken.rows, params.labels.names)
    keep_aside(folder / "set_aside.csv", taken.set_aside, source)
    print(f"{answers}: {merged.added} answers added, {merged.changed} changed, {merged.same} were there.")
    if len(taken.set_aside):
        print(f"{len(taken.set_aside)} rows were not taken; each is in {folder / 'set_aside.csv'} with its reason.")
    kept = read_answers(answers)["id"]
    splits = kept.map(dict(zip(reviews["id"], reviews["split"], strict=True)))
    others = int(splits.isna().sum())
    print(f"Of this run's reviews {len(kept) - others} are answered: {_by_role(splits.dropna())}.")
    if others:
        print(f"{others} more answers are to reviews of other runs; they stay in the file and wait for these.")
    print("Run make repro, and the student learns from them.")


def _still_open(folder: Path, answered: list[str]) -> bool:
    """Whether the batch in `folder` waits for answers; if so, that is told."""
    batch = read_batch(folder)
    left = batch[~batch["id"].isin(answered)]
    if left.empty:
        return False
    print(f"{folder / FILE} is open: {len(left)} of its {len(batch)} reviews wait for an answer.")
    filled = int((left["label"] != "").sum())
    if filled:
        print(f"{filled} of them have a label there; take these back: make annotate ANSWERS={folder / FILE}")
    _tell_ways(folder)
    print("To draw another batch instead: make annotate ARGS=--new")
    return True


def _by_role(splits: pd.Series) -> str:
    counts = Counter(splits)
    return ", ".join(f"{counts[split]} {role}" for split, role in ROLES.items())


def _tell_ways(folder: Path) -> None:
    print(
        f"""Check them in one of three ways (docs/annotating.md):
  on a page        make serve
  in a spreadsheet fill the column label of {folder / FILE}, then make annotate ANSWERS={folder / FILE}
  in Label Studio  labelling setup {folder / "label_studio.xml"}, import {folder / "label_studio.json"},
                   then make annotate ANSWERS=its_export.json"""
    )


if __name__ == "__main__":
    run_stage(main, "Every file is whole; the same command does what is left.")
