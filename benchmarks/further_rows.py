"""What further rows do for the student of real and written ones: kinds of them that no stage makes.

    python -m benchmarks.further_rows FILE.csv …

After `make repro` with `train.epochs=0`. The files are checked reviews (see `benchmarks.score_checked`), scored by
weighted F1 of their random rows where they have strata, else by macro F1; the sample's further checked rows and gold
are scored in any case. Each kind is drawn three times; printed are the mean change of F1 and its paired 95% bootstrap
percentiles over the scored rows, the draws taken together.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import softmax

from benchmarks.heads import Heads, Rows, Texts
from benchmarks.score_checked import checked_rows, random_rows
from stages.common.arrays import FloatArray, IntArray, label_indices
from stages.common.gold import labelled_gold
from stages.common.provenances import FINAL, REAL, SYNTHETIC_STEPS
from stages.composition.params import Params, load_all
from stages.mix import read_talk
from stages.mixing.talk import among
from stages.running.io import DATA
from stages.scoring import metrics
from stages.training.config import Loss
from stages.training.losses import StudentLoss
from stages.training.probe import minimised
from stages.training.rows import Targets, load_rows, variant_rows
from stages.vocabulary.vocabulary import Vocabulary, read_vocabulary

CHECKED = Path("data/raw/sample/checked.csv")
DRAWS = 3
RESAMPLES = 1000
# Of the words of an edited text, so many go.
DROPPED = 0.15
# Rows of notes drawn anew; of so many times as many the hardest are taken.
NOTED = 300
TIMES = 3
# A plain one, of which `influence` knows the second derivatives.
CROSS_ENTROPY = Loss(name="weighted_ce", scheme="none", beta=0, power=0, gamma=0, tau=0, label_smoothing=0)


@dataclass(frozen=True)
class Kind:
    """Rows to learn from beside real and written ones, and what each counts for; 1 where nothing is said."""

    rows: Rows
    weights: FloatArray | None = None


@dataclass(frozen=True)
class Scored:
    """Checked rows that answers are held against, and by which F1."""

    texts: Texts
    truth: IntArray
    measure: str


class Bench:
    """A finished run: its student `written`, and what further rows are made of."""

    def __init__(self, params: Params, files: list[Path]) -> None:
        self.params = params
        self.names = params.labels.names
        self.heads = Heads.of(params)
        self.vocabulary: Vocabulary = read_vocabulary(params.vocabulary, self.names)
        train = load_rows(DATA / "dataset", "train", self.names)
        self.base = variant_rows(train, "written")
        self.base_rows = self.heads.rows(self.base)
        self.real = np.flatnonzero(np.array(self.base["provenance"][:]) == REAL)
        generated = variant_rows(train, FINAL)
        generated = generated.select(np.flatnonzero(np.isin(generated["provenance"][:], SYNTHETIC_STEPS)))
        self.generated = self.heads.rows(generated)
        self.two_thirds = 2 * len(generated) // 3
        self.talk = read_talk(self.vocabulary, params.labels, params.curate, params.mix)
        assert self.talk, "there is no talk of the shop"
        self.scored = {"gold": self._scored(labelled_gold(DATA / "ingest/gold.parquet", self.names))}
        self.scored |= {file.stem: self._scored(checked_rows(file, self.names)) for file in (CHECKED, *files)}

    def written(self, texts: list[str], labels: list[str]) -> Rows:
        """Rows of texts whose label is known."""
        return Rows.checked(self.heads.texts(texts), label_indices(pd.Series(labels), self.names), len(self.names))

    def answers(self, kind: Kind | None, texts: Texts) -> FloatArray:
        """Logits for `texts` of the student that learns from the rows of `kind`, too."""
        rows, weights = self.base_rows, np.ones(len(self.base_rows.labels))
        if kind is not None and len(kind.rows.labels):
            counts = np.ones(len(kind.rows.labels)) if kind.weights is None else kind.weights
            rows, weights = rows.joined(kind.rows), np.concatenate([weights, counts])
        return self.heads.logits(rows, self.params.train, texts, weights)

    def said(self, kind: Kind | None) -> dict[str, IntArray]:
        """What that student answers to the rows of each scored set."""
        texts = [part.texts for part in self.scored.values()]
        answers = self.answers(kind, functools.reduce(Texts.joined, texts)).argmax(axis=1)
        return dict(zip(self.scored, np.split(answers, np.cumsum([len(part.ids) for part in texts])[:-1]), strict=True))

    def edits(self, random: np.random.Generator) -> Kind:
        """Each real and each written review once more, words dropped and two neighbours exchanged.

        The two of the four edits of EDA that need no thesaurus (Wei & Zou 2019, arXiv 1901.11196, sec. 2).
        """
        texts = self.base["text"][:]
        seeds = set(self.vocabulary.seeds["text"])
        chosen = np.array([at for at in range(len(texts)) if at in set(self.real) or texts[at] in seeds])
        edited = self.heads.texts([_edited(texts[at], random) for at in chosen])
        rows = self.base_rows.take(chosen)
        return Kind(Rows(edited, rows.labels, rows.soft_labels))

    def notes(self, random: np.random.Generator, count: int = NOTED) -> Kind:
        """Two or three notes of products drawn at random, told among sentences of the shop."""
        products = [
            (label, product, notes)
            for label, listed in self.vocabulary.products.items()
            for product, notes in listed.items()
        ]
        texts, labels = [], []
        for at in random.integers(len(products), size=count):
            label, product, notes = products[at]
            drawn = random.choice(np.array(notes), min(len(notes), int(random.integers(2, 4))), replace=False)
            texts.append(among(f"{product}: {', '.join(drawn)}", self.talk, 2, random))
            labels.append(label)
        return Kind(self.written(texts, labels))

    def hard(self, random: np.random.Generator) -> Kind:
        """Of `TIMES` as many of these, those that the student without them is least sure of."""
        pool = self.notes(random, TIMES * NOTED).rows
        given = softmax(self.answers(None, pool.texts), axis=1)
        own = given[np.arange(len(given)), pool.labels]
        others = np.where(np.eye(len(self.names), dtype=bool)[pool.labels], 0.0, given).max(axis=1)
        return Kind(pool.take(np.argsort(own - others)[:NOTED]))

    def alike(self, random: np.random.Generator) -> Kind:
        """The generated rows, weighed by their likeness to the nearest real row, 1 on average."""
        real = _unit(self.base_rows.texts.features[self.real])
        likeness = (_unit(self.generated.texts.features) @ real.T).max(axis=1)
        sharp = np.exp((likeness - likeness.mean()) / likeness.std())
        return Kind(self.generated, sharp / sharp.mean())

    def valued(self, judges: Scored, share: float) -> Kind:
        """The `share` of the generated rows that would lower the loss of `judges` most; see `influence`."""
        value = influence(self.base_rows, self.generated, judges, self.params.train.linear_probe or 1.0)
        return Kind(self.generated.take(np.argsort(-value)[: round(share * len(value))]))

    def _scored(self, checked: pd.DataFrame) -> Scored:
        measure = "weighted_f1" if (checked.get("stratum") == "random").any() else "macro_f1"
        rows = random_rows(checked) if "stratum" in checked else checked
        return Scored(self.heads.texts(rows["text"].to_list()), label_indices(rows["label"], self.names), measure)


def main() -> None:
    """Draw every kind, fit a student with it, print what it changes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    bench = Bench(load_all(), parser.parse_args().files)
    kinds: dict[str, Callable[[np.random.Generator], Kind]] = {
        "edits of real and written reviews": bench.edits,
        "notes drawn anew": bench.notes,
        "of three times as many the hardest": bench.hard,
        "generated": lambda random: Kind(bench.generated),
        "generated, two thirds at random": lambda random: Kind(
            bench.generated.take(random.permutation(len(bench.generated.labels))[: bench.two_thirds])
        ),
        "generated, weighed by likeness": bench.alike,
    }
    base = bench.said(None)
    everywhere = {name: np.arange(len(part.truth)) for name, part in bench.scored.items()}
    print(f"| rows | how many | {' | '.join(bench.scored)} |\n|---|---|{'---|' * len(bench.scored)}")
    start = [_f1(part, base[name][None], everywhere[name])[0] for name, part in bench.scored.items()]
    print(
        f"| real and written | {len(bench.base_rows.labels)} | {' | '.join(f'{f1:.3f}' for f1 in start)} |", flush=True
    )
    for name, make in kinds.items():
        drawn = [make(np.random.default_rng(draw)) for draw in range(DRAWS)]
        told = [bench.said(kind) for kind in drawn]
        cells = [_difference(part, [said[of] for said in told], base[of]) for of, part in bench.scored.items()]
        print(f"| {name} | {len(drawn[0].rows.labels)} | {' | '.join(cells)} |", flush=True)
    print(f"| generated, the most valuable half | {len(bench.generated.labels) // 2} | {by_value(bench, base)} |")


def by_value(bench: Bench, base: dict[str, IntArray]) -> str:
    """The half of the generated rows that a half of the checked rows values most.

    Of the checked rows the other half is scored, another in each draw: the changes are printed as they are.
    """
    checked = bench.scored[CHECKED.stem]
    told, changes = [], []
    for draw in range(DRAWS):
        judges, others = np.array_split(np.random.default_rng(draw).permutation(len(checked.truth)), 2)
        kind = bench.valued(Scored(checked.texts.take(judges), checked.truth[judges], checked.measure), 0.5)
        told.append(bench.said(kind))
        both = np.stack([told[-1][CHECKED.stem], base[CHECKED.stem]])
        after, before = _f1(checked, both, others)
        changes.append(f"{after - before:+.3f}")
    cells = {of: _difference(part, [said[of] for said in told], base[of]) for of, part in bench.scored.items()}
    return " | ".join((cells | {CHECKED.stem: ", ".join(changes)}).values())


def influence(base: Rows, rows: Rows, judges: Scored, regularisation: float) -> FloatArray:
    """How much each of `rows`, if learnt from beside `base`, would lower the loss of `judges`, to first order.

    The inverse of the Hessian, by conjugate gradients, between two gradients (Koh & Liang 2017, arXiv 1703.04730, sec.
    2.1), of a regression on the standardised features.
    """
    mean, scale = base.texts.features.mean(axis=0), base.texts.features.std(axis=0) + 1e-9

    def inputs(texts: Texts) -> FloatArray:
        standard = (texts.features - mean) / scale
        return np.column_stack([standard, np.ones(len(standard))]).astype(np.float64)

    given, labels = inputs(base.texts), base.soft_labels.shape[1]
    weights = _regression(given, base, regularisation)
    probabilities = softmax(given @ weights.T, axis=1)

    def hessian(direction: FloatArray) -> FloatArray:
        moved = given @ direction.reshape(weights.shape).T
        bent = probabilities * (moved - (probabilities * moved).sum(axis=1, keepdims=True))
        product: FloatArray = (bent.T @ given + direction.reshape(weights.shape) / regularisation).ravel()
        return product

    of_judges = inputs(judges.texts)
    missed = softmax(of_judges @ weights.T, axis=1) - np.eye(labels)[judges.truth]
    operator = LinearOperator((weights.size, weights.size), matvec=hessian)
    solved, _ = cg(operator, (missed.T @ of_judges).ravel(), maxiter=200)
    of_rows = inputs(rows.texts)
    wrong = softmax(of_rows @ weights.T, axis=1) - rows.soft_labels
    value: FloatArray = (wrong * (of_rows @ solved.reshape(weights.shape).T)).sum(axis=1)
    return value


def _regression(given: FloatArray, rows: Rows, regularisation: float) -> FloatArray:
    labels = rows.soft_labels.shape[1]
    loss = StudentLoss(CROSS_ENTROPY, 1.0, [1] * labels, [str(label) for label in range(labels)])
    aims = Targets(rows.labels, rows.soft_labels, np.ones(len(given)))
    return minimised(given, aims, loss, regularisation, bias=False)[0]


def _f1(part: Scored, answers: IntArray, rows: IntArray) -> FloatArray:
    """F1 (draws,) of answers (draws, texts) to these of its texts."""
    labels = int(max(part.truth.max(), answers.max())) + 1
    counts = [metrics.confusion_matrix(part.truth[rows], given[rows], labels) for given in answers]
    found: FloatArray = getattr(metrics.score(np.stack(counts)), part.measure)
    return found


def _difference(part: Scored, after: list[IntArray], before: IntArray) -> str:
    """What the draws of `after` have over `before` on average, all of shape (texts,), with its interval."""
    answers, random = np.stack([*after, before]), np.random.default_rng(0)

    def change(rows: IntArray) -> float:
        *found, start = _f1(part, answers, rows)
        return float(np.mean(found) - start)

    count = len(part.truth)
    low, high = metrics.interval(np.array([change(random.integers(count, size=count)) for _ in range(RESAMPLES)]), 0.95)
    return f"{change(np.arange(count)):+.3f} [{low:+.3f}, {high:+.3f}]"


def _edited(text: str, random: np.random.Generator) -> str:
    words = text.split()
    kept = [word for word in words if random.random() >= DROPPED] or words
    if len(kept) > 1:
        at = int(random.integers(len(kept) - 1))
        kept[at], kept[at + 1] = kept[at + 1], kept[at]
    return " ".join(kept)


def _unit(features: FloatArray) -> FloatArray:
    lengths: FloatArray = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-9)


if __name__ == "__main__":
    main()
