"""Stage `evaluate`: score the teacher and every student on human-checked reviews."""

from __future__ import annotations

import logging

from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import atomic_path, read_table, write_json, write_table
from stages.common.schema import CURATE, DATASET, EVALUATE, FINAL, INGEST, LABEL, METRICS, PROVENANCES, STUDENTS
from stages.common.spreadsheet import escape_formulas
from stages.modelling import report
from stages.modelling.gold import AGREEMENT, labelled_gold, teacher_labelled
from stages.modelling.pictures import draw_confusion
from stages.modelling.plots import class_f1, coverage, reliability
from stages.modelling.predict import predict_probabilities
from stages.modelling.rows import load_splits

logger = logging.getLogger(__name__)


def main() -> None:
    """Write `metrics/{evaluate,per_class,synthetic_gain}.json`, tables for plots in `metrics/`, `data/evaluate/`."""
    params = load()
    names = params.labels.names
    rows = labelled_gold(INGEST / "gold.parquet", names)
    checked = not rows.empty
    if not checked:
        logger.warning(
            "no human-checked reviews: what follows is agreement with the teacher, not a score against truth"
        )
        rows = teacher_labelled(load_splits(DATASET, names)["test"])

    answers = {}
    if checked:
        for who, folder in {"teacher": LABEL, "curated": CURATE}.items():
            answers[who] = report.stored_answers(rows, read_table(folder / "gold.parquet"), names)
    for variant in PROVENANCES:
        logger.info("student %r answers %d reviews", variant, len(rows))
        given = predict_probabilities(STUDENTS / variant, rows["text"].to_list(), params.evaluate.batch_size, names)
        answers[variant] = report.Answers.of(given)
    evaluation = report.Evaluation(rows, answers, names, params.evaluate, params.seed)

    scores = report.headline(evaluation) if checked else report.agreement(evaluation)
    classes = report.per_class(evaluation) if checked else {}
    write_json(METRICS / "evaluate.json", scores)
    write_json(METRICS / "per_class.json", classes)
    write_json(METRICS / "synthetic_gain.json", report.synthetic_gain(evaluation) if checked else {})
    with atomic_path(EVALUATE / "report.txt") as temporary:
        temporary.write_text(report.as_text(scores, classes), encoding="utf-8")

    main_set, main_part = next(evaluation.gold_sets())
    table, main_table = report.predictions(evaluation, FINAL), report.predictions(main_part, FINAL)
    write_table(METRICS / "confusion.csv", main_table[["actual", "predicted"]])
    right = (main_table["actual"] == main_table["predicted"]).to_numpy()
    write_table(METRICS / "reliability.csv", reliability(main_table["confidence"].to_numpy(dtype=float), right))
    write_table(METRICS / "coverage.csv", coverage(main_table["confidence"].to_numpy(dtype=float), right))
    for who in answers:
        write_table(METRICS / "class_f1" / f"{who}.csv", class_f1(classes.get(main_set, {}).get(who, {})))
    # While `actual` still holds what the student is held against: without checked reviews, the teacher's answers.
    write_table(EVALUATE / "errors.csv", escape_formulas(report.errors(table, evaluation.rows)))
    if not checked:
        table = table.assign(teacher=table["actual"], actual="")
    write_table(EVALUATE / "predictions.csv", escape_formulas(table))
    against = f"проверочный набор «{main_set}»" if main_set != AGREEMENT else "разметка учителя"
    pictures = [METRICS / "confusion.png", METRICS / "confusion.pdf"]
    draw_confusion(main_part.confusion(FINAL)[:, :-1], names, f"Ученик «{FINAL}», {against}", pictures)


if __name__ == "__main__":
    run_stage(main)
