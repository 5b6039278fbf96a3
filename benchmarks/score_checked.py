"""Score every trained student on a file of human-checked reviews that had no part in the run.

    python -m benchmarks.score_checked FILE.csv

The file has the columns text and label, and may have stratum and flag (see `stages.modelling.metrics.subsets`). Prints
JSON: for each part of the file and each student weighted and macro F1 with 95% bootstrap intervals, and the paired
difference of macro F1 to the student trained on real rows alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.config import load
from stages.common.schema import PROVENANCES, STUDENTS
from stages.modelling.metrics import confusion_matrix, interval, resample_together, score, subsets
from stages.modelling.predict import predict_probabilities

RESAMPLES, COVERAGE = 2000, 0.95


def main() -> None:
    """Read the file, ask the students, print their scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    params = load()
    names = params.labels.names
    rows = pd.read_csv(parser.parse_args().file, dtype=str)
    rows = rows[rows["label"].isin(names)].reset_index(drop=True)
    rows = rows.reindex(columns=["text", "label", "stratum", "flag"]).fillna({"stratum": "", "flag": ""})
    actual = rows["label"].map({name: number for number, name in enumerate(names)}).to_numpy()
    answers = {
        variant: predict_probabilities(
            STUDENTS / variant, rows["text"].to_list(), params.evaluate.batch_size, names
        ).argmax(axis=1)
        for variant in PROVENANCES
    }
    report = {}
    for part, mask in subsets(rows).items():
        chosen = [predicted[mask] for predicted in answers.values()]
        drawn = [score(c) for c in resample_together(actual[mask], chosen, len(names), RESAMPLES, params.seed)]
        report[part] = {"rows": int(mask.sum())} | {
            variant: {
                "weighted_f1": _with_interval(float(found.weighted_f1), draws.weighted_f1),
                "macro_f1": _with_interval(float(found.macro_f1), draws.macro_f1),
                "macro_f1_over_real": _with_interval(
                    float(found.macro_f1 - plain.macro_f1), draws.macro_f1 - drawn[0].macro_f1
                ),
            }
            for variant, predicted, draws in zip(PROVENANCES, chosen, drawn, strict=True)
            for found in [score(confusion_matrix(actual[mask], predicted, len(names)))]
            for plain in [score(confusion_matrix(actual[mask], chosen[0], len(names)))]
        }
    print(json.dumps(report, indent=1, ensure_ascii=False))


def _with_interval(value: float, draws: np.ndarray) -> list[float]:
    low, high = interval(draws, COVERAGE)
    return [round(number, 3) for number in (value, low, high)]


if __name__ == "__main__":
    main()
