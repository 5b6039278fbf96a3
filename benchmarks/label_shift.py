"""What the shares of the categories in a shop, estimated without a label, do for the answers of a run's final student.

    python -m benchmarks.label_shift FILE.csv …

Shares come from what the student says of the run's own train reviews, by expectation-maximisation (Saerens, Latinne &
Decaestecker 2002, sec. 2.2) and by inverting its confusions on the balanced rows of `data/raw/sample/checked.csv`
(BBSE, Lipton, Wang & Smola 2018, arXiv 1802.03916, sec. 3). Answers are multiplied by the shares, raised to a power:
1 takes them at their word. Of each file (see `benchmarks.score_checked`) prints weighted F1 of the random rows and of
the clear ones among them, macro F1 of all rows, and the calibration error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.score_checked import checked_rows, random_rows
from stages.common.arrays import FloatArray, IntArray, label_indices
from stages.common.provenances import FINAL
from stages.composition.params import load_all
from stages.inference.answers import student_probabilities
from stages.running.io import DATA, read_table
from stages.scoring.metrics import confusion_matrix, expected_calibration_error, score

CHECKED = Path("data/raw/sample/checked.csv")
POWERS = (0.25, 0.5, 1.0)
STEPS = 200


def main() -> None:
    """Estimate the shares, then score the answers with and without them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    files: list[Path] = parser.parse_args().files
    params = load_all()
    names = params.labels.names

    def ask(texts: list[str]) -> FloatArray:
        return student_probabilities(DATA / "students" / FINAL, texts, params.answer.batch_size, names)

    reviews = read_table(DATA / "ingest/reviews.parquet").query("split == 'train'")
    shop, balanced = ask(reviews["text"].to_list()), checked_rows(CHECKED, names)
    by = {
        "EM": shares_by_em(shop),
        "BBSE": shares_by_bbse(shop, ask(balanced["text"].to_list()), label_indices(balanced["label"], names)),
    }
    print("| shares by | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    for who, shares in by.items():
        print(f"| {who} | " + " | ".join(f"{share:.3f}" for share in shares) + " |")
    print("\n| rows | shares | weighted F1 | clear | macro F1, all rows | ECE |\n|---|---|---|---|---|---|")
    for file in files:
        rows = checked_rows(file, names)
        given = ask(rows["text"].to_list())
        for shares, answers in {"none": given, **adjusted(given, by)}.items():
            print(f"| {file.stem} | {shares} | {_figures(rows.assign(answers=list(answers)), names)} |", flush=True)


def shares_by_em(answers: FloatArray) -> FloatArray:
    """The shares (labels,) under which the answers (reviews, labels), made for equal ones, are likeliest."""
    shares = np.full(answers.shape[1], 1 / answers.shape[1])
    for _ in range(STEPS):
        weighted = answers * shares
        shares = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def shares_by_bbse(answers: FloatArray, balanced: FloatArray, actual: IntArray) -> FloatArray:
    """The shares (labels,) that the student's confusions on balanced rows would turn into what it answers here."""
    labels = answers.shape[1]
    counts = confusion_matrix(actual, balanced.argmax(axis=1), labels)[:, :labels]
    confusions = counts / counts.sum(axis=1, keepdims=True)
    answered = np.bincount(answers.argmax(axis=1), minlength=labels) / len(answers)
    shares = np.clip(np.linalg.lstsq(confusions.T, answered)[0], 0, None)
    return shares / shares.sum()


def adjusted(given: FloatArray, by: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """The answers (rows, labels) under each estimate of the shares at each power, by what it is called."""
    found = {}
    for who, shares in by.items():
        for power in POWERS:
            # A share of 0 would rule a category out for good.
            weighted = given * np.maximum(shares, 1e-4) ** power
            found[f"{who}, to the power of {power}"] = weighted / weighted.sum(axis=1, keepdims=True)
    return found


def _figures(rows: pd.DataFrame, names: list[str]) -> str:
    drawn = random_rows(rows)
    clear = drawn[drawn["flag"] == "clear"] if (drawn["flag"] == "clear").any() else drawn
    cells = []
    for part, figure in ((drawn, "weighted_f1"), (clear, "weighted_f1"), (rows, "macro_f1")):
        actual, answers = label_indices(part["label"], names), np.stack(part["answers"])
        cells.append(float(getattr(score(confusion_matrix(actual, answers.argmax(axis=1), len(names))), figure)))
    cells.append(expected_calibration_error(np.stack(drawn["answers"]), label_indices(drawn["label"], names)))
    return " | ".join(f"{cell:.3f}" for cell in cells)


if __name__ == "__main__":
    main()
