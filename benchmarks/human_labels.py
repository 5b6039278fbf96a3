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
import torch
from datasets import Dataset

from stages.common.config import load
from stages.common.schema import DATASET, FINAL, INGEST, MODELS, STUDENTS, FloatArray
from stages.modelling import metrics
from stages.modelling.features import head_inputs, last_linear
from stages.modelling.gold import labelled_gold
from stages.modelling.losses import StudentLoss
from stages.modelling.predict import predict_probabilities
from stages.modelling.probe import fit_regression
from stages.modelling.report import label_indices
from stages.modelling.rows import load_splits, variant_rows
from stages.modelling.student import build_student

SIZES, DRAWS, RESAMPLES, COVERAGE = (50, 100, 200), 3, 2000, 0.95


def main() -> None:
    """Take the features of all rows once, then fit and score a head for every choice of checked rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checked", type=Path)
    params = load()
    names = params.labels.names
    checked = pd.read_csv(parser.parse_args().checked)
    gold = labelled_gold(INGEST / "gold.parquet", names)
    rows = variant_rows(load_splits(DATASET, names)["train"], FINAL)
    model, tokenizer = build_student(MODELS / "student", names, params.train)

    def features(texts: list[str]) -> FloatArray:
        encoded = tokenizer(texts, truncation=True, max_length=params.train.max_tokens)
        return head_inputs(model, tokenizer, Dataset.from_dict(dict(encoded)))

    of_train, of_checked, of_gold = (features(list(part["text"][:])) for part in (rows, checked, gold))
    truth, actual = label_indices(checked["label"], names), label_indices(gold["label"], names)
    labels, soft = np.array(rows["label"][:]), np.array(rows["soft_labels"][:])

    def score(chosen: np.ndarray) -> str:
        joined = np.concatenate([labels, truth[chosen]])
        loss = StudentLoss(
            params.train.loss,
            params.train.soft_label_weight,
            np.bincount(joined, minlength=len(names)).tolist(),
            names,
        )
        regression = fit_regression(
            np.concatenate([of_train, of_checked[chosen]]),
            torch.tensor(joined),
            torch.tensor(np.concatenate([soft, np.eye(len(names))[truth[chosen]]])),
            torch.ones(len(joined)),
            loss=loss,
            regularisation=params.train.linear_probe or 1.0,
            bias=last_linear(model).bias is not None,
        )
        predicted = (of_gold @ regression.weights.T + regression.biases).argmax(axis=1)
        confusion = metrics.confusion_matrix(actual, predicted, len(names))
        drawn = metrics.score(metrics.resample(confusion, RESAMPLES, params.seed)).macro_f1
        low, high = metrics.interval(drawn, COVERAGE)
        return f"{metrics.score(confusion).macro_f1:.3f} [{low:.3f}, {high:.3f}]"

    sure = predict_probabilities(STUDENTS / FINAL, checked["text"].to_list(), params.evaluate.batch_size, names)
    print("| checked rows | chosen | macro F1 |\n|---|---|---|")
    print(f"| 0 | | {score(np.array([], dtype=int))} |")
    for size in SIZES:
        for draw in range(DRAWS):
            print(
                f"| {size} | at random, {draw} | {score(np.random.default_rng(draw).permutation(len(truth))[:size])} |"
            )
        print(f"| {size} | least sure | {score(np.argsort(sure.max(axis=1))[:size])} |", flush=True)


if __name__ == "__main__":
    main()
