"""Every loss and class weight, every mix of hard and soft labels, on bootstrap samples of the train rows.

    python -m benchmarks.losses --checked data/raw/sample/checked.csv

For a run with `train.epochs=0`, after `make repro`. Such a student has no seed that would change it, so its spread is
over samples of the rows it learns from, drawn with replacement: mean and standard deviation of macro F1 over five
samples, beside the value for all rows. The baselines that learn from reviews are drawn and scored in the same way. On
the gold reviews of the run and, with `--checked`, on a further file (columns text and label, of a file with a column
stratum only the random rows).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.heads import Heads
from benchmarks.score_checked import checked_rows, random_rows
from stages.common.arrays import FloatArray, IntArray, label_indices
from stages.common.gold import labelled_gold
from stages.common.provenances import FINAL
from stages.composition.params import Params, load_all
from stages.embedding.embedder import Embedder
from stages.running.io import DATA, read_table
from stages.scoring import baselines, metrics
from stages.training.config import Train
from stages.training.rows import load_rows, variant_rows

SAMPLES = 5
# Name and class weights (`train.loss.name`, `train.loss.scheme`).
LOSSES = (
    *(("weighted_ce", scheme) for scheme in ("none", "inverse_frequency", "effective_number", "tempered")),
    ("focal", "none"),
    ("logit_adjusted", "none"),
)
Predict = Callable[[IntArray], FloatArray]


def main() -> None:
    """Fit and score everything on the whole and on each sample; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checked", type=Path, action="append", default=[])
    params = load_all()
    names = params.labels.names
    sets = {"gold": labelled_gold(DATA / "ingest/gold.parquet", names)}
    for file in parser.parse_args().checked:
        sets[file.stem] = random_rows(checked_rows(file, names))
    texts = [text for part in sets.values() for text in part["text"]]
    actual = {name: label_indices(part["label"], names) for name, part in sets.items()}
    print(f"| learns | {' | '.join(f'{name}, all rows | resampled' for name in actual)} |")
    print("|---|" + "---|---|" * len(sets), flush=True)
    for name, (predict, count) in [*students(params, texts).items(), *simpler(params, texts).items()]:
        whole = scores(predict(np.arange(count)), actual)
        drawn = [scores(predict(resampled(seed, count)), actual) for seed in range(SAMPLES)]
        cells = []
        for part in actual:
            values = [drawing[part] for drawing in drawn]
            cells.append(f"{whole[part]:.3f} | {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def resampled(seed: int, count: int) -> IntArray:
    """Row numbers of a bootstrap sample."""
    return np.random.default_rng(seed).integers(count, size=count)


def scores(distributions: FloatArray, actual: dict[str, IntArray]) -> dict[str, float]:
    """Macro F1 of each set, whose rows follow each other in `distributions`."""
    parts = np.split(distributions, np.cumsum([len(truth) for truth in actual.values()])[:-1])
    labels = distributions.shape[1]
    return {
        name: float(metrics.score(metrics.confusion_matrix(truth, part.argmax(axis=1), labels)).macro_f1)
        for (name, truth), part in zip(actual.items(), parts, strict=True)
    }


def students(params: Params, texts: list[str]) -> dict[str, tuple[Predict, int]]:
    """The final student by each setting: what it says of `texts` after it learnt from rows, and how many there are."""
    heads = Heads.of(params)
    dataset = variant_rows(load_rows(DATA / "dataset", "train", params.labels.names), FINAL)
    rows = heads.rows(dataset)
    of_texts = heads.texts(texts)

    def predict(train: Train) -> tuple[Predict, int]:
        return lambda chosen: heads.fitted(rows.take(chosen), train, of_texts), len(dataset)

    return {name: predict(train) for name, train in settings(params.train).items()}


def settings(train: Train) -> dict[str, Train]:
    """What is compared, each differing from `train` in one thing."""
    loss = train.loss
    compared = {f"as configured ({loss.name}, {loss.scheme})": train}
    for name, scheme in LOSSES:
        if (name, scheme) != (loss.name, loss.scheme):
            compared[f"{name}, {scheme}"] = replace(train, loss=replace(loss, name=name, scheme=scheme))
    compared["label smoothing 0.1"] = replace(train, loss=replace(loss, label_smoothing=0.1))
    compared["hard labels alone"] = replace(train, soft_label_weight=0.0)
    compared["soft labels alone"] = replace(train, soft_label_weight=1.0)
    return compared


def simpler(params: Params, texts: list[str]) -> dict[str, tuple[Predict, int]]:
    """The baselines that learn from the teacher's labels."""
    names = params.labels.names
    train = read_table(DATA / "label/labels.parquet").query("split == 'train'").reset_index(drop=True)
    labels, count = label_indices(train["label"], names), len(names)
    written: pd.Series[str] = train["text"]
    embedder = Embedder(DATA / "models/embedder", params.embed)
    vectors, of_texts = (embedder.embed(part) for part in (written.to_list(), texts))
    return {
        "TF-IDF and logistic regression": (
            lambda chosen: baselines.tfidf_regression(written[chosen].to_list(), labels[chosen], texts, count),
            len(train),
        ),
        "embeddings and logistic regression": (
            lambda chosen: baselines.embedding_regression(vectors[chosen], labels[chosen], of_texts, count),
            len(train),
        ),
    }


if __name__ == "__main__":
    main()
