"""What human labels are worth: the student's head with 0, 50, 100 and 200 checked reviews among its train rows.

    python -m benchmarks.human_labels data/raw/sample/checked.csv

For a run with `train.epochs=0`, after `make repro`. Checked rows are drawn at random (three draws), or taken where the
student of the run is least sure. They join the final student's rows with their true label; all are scored on the gold
reviews of the run. Prints a table of macro F1 with bootstrap intervals.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.heads import Heads, Rows
from stages.common.arrays import IntArray, label_indices
from stages.common.gold import labelled_gold
from stages.common.provenances import FINAL
from stages.composition.params import load_all
from stages.inference.answers import student_probabilities
from stages.running.io import DATA
from stages.scoring import metrics
from stages.training.rows import load_rows, variant_rows

SIZES, DRAWS, RESAMPLES, COVERAGE = (50, 100, 200), 3, 2000, 0.95


def main() -> None:
    """Take the features of all rows once, then fit and score a head for every choice of checked rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checked", type=Path)
    params = load_all()
    names = params.labels.names
    checked = pd.read_csv(parser.parse_args().checked)
    gold = labelled_gold(DATA / "ingest/gold.parquet", names)
    dataset = variant_rows(load_rows(DATA / "dataset", "train", names), FINAL)
    heads = Heads.of(params)
    rows = heads.rows(dataset)
    of_checked, of_gold = (heads.texts(part["text"].to_list()) for part in (checked, gold))
    truth, actual = label_indices(checked["label"], names), label_indices(gold["label"], names)
    people = Rows.checked(of_checked, truth, len(names))

    def score(chosen: IntArray) -> str:
        predicted = heads.fitted(rows.joined(people.take(chosen)), params.train, of_gold).argmax(axis=1)
        confusion = metrics.confusion_matrix(actual, predicted, len(names))
        drawn = metrics.score(metrics.resample(confusion, RESAMPLES, params.seed)).macro_f1
        low, high = metrics.interval(drawn, COVERAGE)
        return f"{metrics.score(confusion).macro_f1:.3f} [{low:.3f}, {high:.3f}]"

    sure = student_probabilities(DATA / "students" / FINAL, checked["text"].to_list(), params.answer.batch_size, names)
    print("| checked rows | chosen | macro F1 |\n|---|---|---|")
    print(f"| 0 | | {score(np.array([], dtype=int))} |")
    for size in SIZES:
        for draw in range(DRAWS):
            chosen = np.random.default_rng(draw).permutation(len(truth))[:size]
            print(f"| {size} | at random, {draw} | {score(chosen)} |")
        print(f"| {size} | least sure | {score(np.argsort(sure.max(axis=1))[:size])} |", flush=True)


if __name__ == "__main__":
    main()
