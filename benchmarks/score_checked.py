"""Score every trained student on a file of human-checked reviews that had no part in the run.

    python -m benchmarks.score_checked FILE.csv

The file has the columns text and label, and may have stratum and flag (see `stages.scoring.metrics.subsets`); rows
without a label of the run are left out. Prints two tables: the scores of each part of the file with their bootstrap
intervals, as in `metrics/scores.csv`, and what each kind of rows added, as in `metrics/gain.csv`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from stages.common.provenances import PROVENANCES
from stages.composition.params import load_all
from stages.inference.answers import student_probabilities
from stages.running.io import DATA
from stages.scoring import gain, scores
from stages.scoring.evaluation import Answers, Evaluation
from stages.scoring.records import as_table


def main() -> None:
    """Read the file, ask the students, print their scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    params = load_all()
    names = params.labels.names
    rows = checked_rows(file, names)
    answers = {
        student: Answers.of(
            student_probabilities(DATA / "students" / student, rows["text"].to_list(), params.answer.batch_size, names)
        )
        for student in PROVENANCES
    }
    evaluation = Evaluation(rows, answers, names, params.evaluate, params.seed)
    for table in (
        as_table(scores.scores(evaluation), scores.Score),
        as_table(gain.gains(evaluation, PROVENANCES), gain.Gain),
    ):
        print(table.to_csv(index=False))


def checked_rows(file: Path, names: list[str]) -> pd.DataFrame:
    """Rows of the file whose label is one of `names`, in the columns that `Evaluation` reads."""
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    rows = rows[rows["label"].isin(names)].reindex(columns=["text", "label", "stratum", "flag"], fill_value="")
    return rows.assign(gold_set=file.stem).reset_index(drop=True)


def random_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The random rows of a file that has strata, all rows of one that has none."""
    drawn = rows["stratum"] == "random"
    return rows[drawn].reset_index(drop=True) if drawn.any() else rows


if __name__ == "__main__":
    main()
