"""What answers of people are worth on a real shop, and whether it matters which reviews they are asked about.

    python -m benchmarks.active_learning [--splits 10]

After `dvc repro dataset` with `data=case` (README.md beside this file). The checked rows of `gold_dev` are cut at
random into a pool, whose labels are the people's answers, and a half that is scored. Of the pool 25 to 150 reviews are
drawn by each strategy of `stages.annotating.strategies`; as in the product, a part drawn at random
(`annotate.calibration_share`) gives the temperature, and from the others the second opinion and the student learn. The
rows of `rare`, of other shops, are scored beside it. Writes `active_learning.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from benchmarks.heads import Heads, Rows, Texts
from stages.annotating.config import STRATEGIES
from stages.annotating.strategies import pick
from stages.common.arrays import FloatArray, IntArray, label_indices, probability_matrix
from stages.common.gold import labelled_gold
from stages.common.provenances import FINAL, REAL
from stages.composition.params import Params, load_all
from stages.curation.policy import apply_policy, likely_errors
from stages.curation.second_opinion import SecondOpinion
from stages.curation.written import learnt_from
from stages.embedding.stored import read_embeddings
from stages.running.errors import DataError
from stages.running.io import DATA, read_table
from stages.running.progress import Progress
from stages.scoring import metrics
from stages.training.rows import load_rows, variant_rows
from stages.training.temperature import fit_temperature
from stages.vocabulary.vocabulary import read_vocabulary

SIZES = (25, 50, 100, 150)
# Bootstrap samples of the scored half, in each split.
RESAMPLES = 200
# Fewer rows tell nothing of a temperature: the validation rows do, as in stage `train`.
FEWEST = 20
# No answers.
NOBODY = (0, "")
FIGURES = ("weighted_f1", "weighted_f1_clear", "macro_f1", "macro_f1_rare", "ece")


@dataclass(frozen=True)
class Figure:
    """A measure of a strategy: its mean over the splits, and by how much more it is than others on the same rows.

    `over_none` is held against the run without answers, `over_random` against as many answers drawn at random. Ends of
    95% intervals: percentiles over splits and bootstrap samples of the scored rows together.
    """

    answers: int
    strategy: str
    measure: str
    mean: float
    low: float
    high: float
    over_none: tuple[float, float, float]
    over_random: tuple[float, float, float]


@dataclass(frozen=True)
class Shop:
    """What a finished run knows: everything by row, distributions over the labels, embeddings, the head's features."""

    names: list[str]
    params: Params
    heads: Heads
    train: Rows
    # Which of the train rows are reviews, and what the teacher says of these.
    real: IntArray
    teacher: FloatArray
    real_vectors: FloatArray
    written_vectors: FloatArray
    written: list[str]
    validation: Rows
    checked: pd.DataFrame
    checked_teacher: FloatArray
    checked_vectors: FloatArray
    checked_texts: Texts

    @property
    def truth(self) -> IntArray:
        """Label indices of the checked rows."""
        return label_indices(self.checked["label"], self.names)

    def opinion(self, answered: IntArray) -> SecondOpinion:
        """The second opinion that has learnt from these checked rows too."""
        vectors = np.concatenate([self.written_vectors, self.checked_vectors[answered]])
        labels = [*self.written, *self.checked["label"].iloc[answered]]
        return SecondOpinion.fit(vectors, labels, self.names, self.params.curate.regularisation)

    def learnt(self, opinion: SecondOpinion, answered: IntArray) -> FloatArray:
        """Logits (checked rows, labels) of the student that learns from what `opinion` makes of the reviews."""
        second = opinion.distributions(self.real_vectors)
        flagged = likely_errors(self.teacher.argmax(axis=1), second)
        curated, _ = apply_policy(self.teacher, second, flagged, self.params.curate)
        soft, labels = self.train.soft_labels.copy(), self.train.labels.copy()
        soft[self.real], labels[self.real] = curated, curated.argmax(axis=1)
        truth = self.truth[answered]
        people = Rows.checked(self.checked_texts.take(answered), truth, len(self.names))
        weights = np.r_[np.ones(len(labels)), np.full(len(answered), self.params.human.weight)]
        rows = Rows(self.train.texts, labels, soft).joined(people)
        texts = self.checked_texts.joined(self.validation.texts)
        return self.heads.logits(rows, self.params.train, texts, weights)


def main() -> None:
    """Score every strategy in every split, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=10)
    splits = parser.parse_args().splits
    shop = read_shop()
    drawn: dict[tuple[int, str], list[dict[str, FloatArray]]] = {}
    with Progress("splits", splits, "splits") as progress:
        for split in range(splits):
            for answers, strategy, scored in score_split(shop, split):
                drawn.setdefault((answers, strategy), []).append(scored)
            progress.update(1)
    figures = [figure for key in drawn for figure in summed_up(drawn, *key)]
    print(as_table(figures))
    rows = {name: int(count) for name, count in shop.checked["gold_set"].value_counts().items()}
    written = {"splits": splits, "resamples": RESAMPLES, "weight": shop.params.human.weight, "rows": rows}
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({**written, "figures": [asdict(figure) for figure in figures]}, indent=1) + "\n")


def read_shop() -> Shop:
    """Read the run, and take the features of all rows once."""
    params = load_all()
    names, heads = params.labels.names, Heads.of(params)
    dataset = variant_rows(load_rows(DATA / "dataset", "train", names), FINAL)
    real = np.flatnonzero(np.array(dataset["provenance"][:]) == REAL)
    ids = np.array(dataset["id"][:])[real]
    labelled = read_table(DATA / "label/labels.parquet").set_index("id")
    checked = labelled_gold(DATA / "ingest/gold.parquet", names)
    by_teacher = read_table(DATA / "label/gold.parquet").drop_duplicates("id").set_index("id")
    if not checked["id"].isin(by_teacher.index).all():
        raise DataError("the teacher was asked about a part of the checked rows: run with label.gold_rows=null")
    vocabulary = read_vocabulary(params.vocabulary, names)
    written_vectors, written = learnt_from(vocabulary)
    return Shop(
        names=names,
        params=params,
        heads=heads,
        train=heads.rows(dataset),
        real=real,
        teacher=probability_matrix(labelled.loc[ids]),
        real_vectors=read_embeddings(DATA / "embed", list(ids)),
        written_vectors=written_vectors,
        written=written,
        validation=heads.rows(load_rows(DATA / "dataset", "validation", names)),
        checked=checked,
        checked_teacher=probability_matrix(by_teacher.loc[checked["id"]]),
        checked_vectors=read_embeddings(DATA / "embed", checked["id"].to_list()),
        checked_texts=heads.texts(checked["text"].to_list()),
    )


def score_split(shop: Shop, split: int) -> Iterator[tuple[int, str, dict[str, FloatArray]]]:
    """Answers, strategy and its figures for one cut into pool and scored half: first the exact one, then resampled."""
    random = np.random.default_rng(split)
    order = random.permutation(np.flatnonzero((shop.checked["gold_set"] == "gold_dev").to_numpy()))
    pool, half = np.split(order, [len(order) // 2])
    nobody = np.array([], dtype=np.int64)
    opinion = shop.opinion(nobody)
    logits = shop.learnt(opinion, nobody)
    known = {
        "teacher": shop.checked_teacher[pool],
        "second_opinion": opinion.distributions(shop.checked_vectors[pool]),
        "student": softmax(logits[pool], axis=1),
    }
    yield *NOBODY, scores(shop, logits, nobody, half, split)
    for size in SIZES:
        for_temperature = round(size * shop.params.annotate.calibration_share)
        # Drawn at random whatever the strategy, and then no candidates.
        calibration, left = pool[:for_temperature], np.arange(for_temperature, len(pool))
        for strategy in STRATEGIES:
            chosen = left[
                pick(
                    strategy,
                    size - for_temperature,
                    probabilities={who: given[left] for who, given in known.items()},
                    vectors=shop.checked_vectors[pool[left]],
                    seed=split,
                )
            ]
            learnt = shop.learnt(shop.opinion(pool[chosen]), pool[chosen])
            yield size, strategy, scores(shop, learnt, calibration, half, split)


def scores(shop: Shop, logits: FloatArray, calibration: IntArray, half: IntArray, seed: int) -> dict[str, FloatArray]:
    """Each of FIGURES on the scored rows, shape (1 + RESAMPLES,)."""
    of_checked, of_validation = np.split(logits, [len(shop.checked)])
    truth = shop.truth
    if len(calibration) >= FEWEST:
        temperature = fit_temperature(of_checked[calibration], np.eye(len(shop.names))[truth[calibration]])
    else:
        temperature = fit_temperature(of_validation, shop.validation.soft_labels)
    distributions = softmax(of_checked / temperature, axis=1)
    stratum, flag = shop.checked["stratum"].to_numpy()[half], shop.checked["flag"].to_numpy()[half]
    drawn = half[stratum == "random"]
    clear = half[(stratum == "random") & (flag == "clear")]
    rare = np.flatnonzero((shop.checked["gold_set"] == "rare").to_numpy())
    random = np.random.default_rng(seed)

    def resampled(rows: IntArray) -> IntArray:
        return np.concatenate([rows[None], rows[random.integers(len(rows), size=(RESAMPLES, len(rows)))]])

    def f1(rows: IntArray, which: str) -> FloatArray:
        labels = len(shop.names)
        counts = [metrics.confusion_matrix(truth[some], distributions[some].argmax(axis=1), labels) for some in rows]
        found: FloatArray = getattr(metrics.score(np.stack(counts)), which)
        return found

    of_drawn = resampled(drawn)
    ece = [metrics.expected_calibration_error(distributions[some], truth[some]) for some in of_drawn]
    return {
        "weighted_f1": f1(of_drawn, "weighted_f1"),
        "weighted_f1_clear": f1(resampled(clear), "weighted_f1"),
        "macro_f1": f1(of_drawn, "macro_f1"),
        "macro_f1_rare": f1(resampled(rare), "macro_f1"),
        "ece": np.array(ece),
    }


def summed_up(drawn: dict[tuple[int, str], list[dict[str, FloatArray]]], answers: int, strategy: str) -> list[Figure]:
    """The figures of a strategy over all splits, beside others on the same samples."""
    figures = []
    for measure in FIGURES:

        def of(key: tuple[int, str], measure: str = measure) -> FloatArray:
            return np.stack([scored[measure] for scored in drawn[key]])

        given = of((answers, strategy))
        over = [given - of(NOBODY), given - of((answers, "random") if answers else NOBODY)]
        figures.append(Figure(answers, strategy, measure, *_interval(given), *map(_interval, over)))
    return figures


def _interval(values: FloatArray) -> tuple[float, float, float]:
    """Mean of the exact values (column 0), and the interval of the resampled ones."""
    low, high = metrics.interval(values[:, 1:].ravel(), 0.95)
    return round(float(values[:, 0].mean()), 4), round(float(low), 4), round(float(high), 4)


def as_table(figures: list[Figure]) -> str:
    """A Markdown table, a line a strategy."""
    lines = ["| answers | strategy | " + " | ".join(FIGURES) + " |", "|---|---|" + "---|" * len(FIGURES)]
    for key in dict.fromkeys((figure.answers, figure.strategy) for figure in figures):
        cells = [
            f"{figure.mean:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
            + ("" if figure.strategy in ("", "random") else f" ({figure.over_random[0]:+.3f})")
            for figure in figures
            if (figure.answers, figure.strategy) == key
        ]
        lines.append(f"| {key[0]} | {key[1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
