"""Stage `evaluate`: score the teacher and every student on human-checked reviews."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from stages.common.arrays import probability_matrix
from stages.common.gold import PEOPLE
from stages.common.labels import Labels
from stages.common.provenances import FINAL, PROVENANCES
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, METRICS, atomic_path, read_table, write_table
from stages.scoring import gain, scores
from stages.scoring.agreement import AGREEMENT
from stages.scoring.config import Evaluate
from stages.scoring.confusion import draw_confusion
from stages.scoring.evaluation import Answers, Evaluation, stored_answers
from stages.scoring.predictions import as_text, errors, predictions
from stages.scoring.records import as_table
from stages.scoring.tables import coverage, reliability


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    labels: Labels
    evaluate: Evaluate


def main() -> None:
    """Write tables and a picture to `metrics/`, and what belongs to single reviews to `data/evaluate/`."""
    params = load(Params)
    evaluation = read_evaluation(params)
    checked = AGREEMENT not in set(evaluation.rows["gold_set"])
    table = as_table(scores.scores(evaluation), scores.Score)
    by_class = as_table(scores.class_scores(evaluation) if checked else [], scores.ClassScore)
    write_table(METRICS / "scores.csv", table)
    write_table(METRICS / "gain.csv", as_table(gain.gains(evaluation, PROVENANCES) if checked else [], gain.Gain))
    write_table(DATA / "evaluate/class_scores.csv", by_class)
    with atomic_path(DATA / "evaluate/report.txt") as temporary:
        temporary.write_text(as_text(table, by_class), encoding="utf-8")
    write_plots(evaluation, by_class)
    write_predictions(evaluation, checked)


def read_evaluation(params: Params) -> Evaluation:
    """The rows to score on, and everyone's answers to them."""
    names = params.labels.names
    rows = read_table(DATA / "answers/rows.parquet")
    answers = {}
    if AGREEMENT not in set(rows["gold_set"]):
        # The second opinion of `curate` has not seen what people answered.
        asked = pd.concat([read_table(DATA / "label/asked.parquet"), rows[rows["gold_set"] == PEOPLE]])
        for who, folder in {"teacher": DATA / "label", "curated": DATA / "curate"}.items():
            answers[who] = stored_answers(rows, labelled(folder, rows), asked, names)
    for student in PROVENANCES:
        answers[student] = Answers.of(probability_matrix(read_table(DATA / f"answers/{student}.parquet")))
    return Evaluation(rows, answers, names, params.evaluate, params.seed)


def labelled(folder: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """What the labels in `folder` say of gold `rows`; those of people are among the reviews."""
    columns = ["gold_set", "id", "label", "probabilities"]
    reviews = read_table(folder / "labels.parquet").assign(gold_set=PEOPLE)
    of_people = reviews[reviews["id"].isin(rows.loc[rows["gold_set"] == PEOPLE, "id"])]
    return pd.concat([read_table(folder / "gold.parquet")[columns], of_people[columns]])


def write_plots(evaluation: Evaluation, by_class: pd.DataFrame) -> None:
    """Write the plots of the student in use, and of everyone's F1 by class, on the first gold set."""
    gold_set, part = next(evaluation.gold_sets())
    table = predictions(part, FINAL)
    confidence, right = table["confidence"].to_numpy(dtype=float), (table["actual"] == table["predicted"]).to_numpy()
    write_table(METRICS / "confusion.csv", table[["actual", "predicted"]])
    write_table(METRICS / "reliability.csv", reliability(confidence, right))
    write_table(METRICS / "coverage.csv", coverage(confidence, right))
    for who in evaluation.answers:
        chosen = by_class[(by_class["gold_set"] == gold_set) & (by_class["who"] == who)]
        write_table(METRICS / "class_f1" / f"{who}.csv", chosen.drop(columns=["gold_set", "who"]))
    against = "the teacher's labels" if gold_set == AGREEMENT else f"the checked reviews of {gold_set}"
    title = f"Student “{FINAL}” on {against}"
    counts = part.confusion(FINAL)[:, :-1]
    draw_confusion(counts, part.label_names, title, [METRICS / "confusion.png", DATA / "evaluate/confusion.pdf"])


def write_predictions(evaluation: Evaluation, checked: bool) -> None:
    """Write what the student in use said of every row, and where it was wrong."""
    table = predictions(evaluation, FINAL)
    write_table(DATA / "evaluate/errors.csv", errors(table, evaluation.rows))
    if not checked:
        # What the student was held against are the teacher's answers.
        table = table.assign(teacher=table["actual"], actual="")
    write_table(DATA / "evaluate/predictions.csv", table)


if __name__ == "__main__":
    run_stage(main)
