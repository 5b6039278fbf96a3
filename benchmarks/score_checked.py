"""Score every trained student on a file of human-checked reviews that had no part in the run.

    python -m benchmarks.score_checked FILE.csv

The file has the columns text and label, and may have stratum and flag (see `stages.modelling.metrics.subsets`); rows
without a label of the run are left out. Prints JSON: the scores of each part of the file with their bootstrap
intervals, as in `metrics/evaluate.json`, and what each kind of rows added, as in `metrics/synthetic_gain.json`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from stages.common.config import load
from stages.common.schema import PROVENANCES, STUDENTS
from stages.modelling import report
from stages.modelling.predict import predict_probabilities


def main() -> None:
    """Read the file, ask the students, print their scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    params = load()
    names = params.labels.names
    rows = checked_rows(file, names)
    answers = {
        student: report.Answers.of(
            predict_probabilities(STUDENTS / student, rows["text"].to_list(), params.evaluate.batch_size, names)
        )
        for student in PROVENANCES
    }
    evaluation = report.Evaluation(rows, answers, names, params.evaluate, params.seed)
    scores = {"scores": report.headline(evaluation), "gain": report.synthetic_gain(evaluation)}
    print(json.dumps(scores, indent=1, ensure_ascii=False))


def checked_rows(file: Path, names: list[str]) -> pd.DataFrame:
    """Rows of the file whose label is one of `names`, in the columns that `report.Evaluation` reads."""
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    rows = rows[rows["label"].isin(names)].reindex(columns=["text", "label", "stratum", "flag"], fill_value="")
    return rows.assign(gold_set=file.stem).reset_index(drop=True)


def random_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The random rows of a file that has strata, all rows of one that has none."""
    drawn = rows["stratum"] == "random"
    return rows[drawn].reset_index(drop=True) if drawn.any() else rows


if __name__ == "__main__":
    main()
