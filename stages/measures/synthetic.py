"""How diverse and how real synthetic reviews are; each figure beside the one that real reviews get."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.common.arrays import FloatArray, Vectors
from stages.embedding.cosine import nearest_cosine
from stages.synthesis.words import ngrams, words

# A figure of fewer rows says nothing; more than the most cost minutes and change no digit that matters.
FEWEST_ROWS = 10
MOST_ROWS = 2000
FRECHET_DIMENSIONS = 16


@dataclass(frozen=True)
class Pair:
    """A measure of synthetic reviews, and what real ones get; None where a side has too few rows."""

    synthetic: float | None
    real: float | None


Figures = dict[str, Pair]


@dataclass(frozen=True)
class Sample:
    """Reviews and their embeddings (rows, dimensions), unit rows."""

    texts: Sequence[str]
    embeddings: Vectors

    def take(self, rows: npt.NDArray[np.intp]) -> Sample:
        """The sample of these rows."""
        return Sample([self.texts[row] for row in rows], self.embeddings[rows])

    def part(self, size: int) -> Sample | None:
        """The first `size` rows, or none where the sample is too small to measure."""
        return self.take(np.arange(min(size, len(self.texts)))) if len(self.texts) >= FEWEST_ROWS else None


def measure_step(
    candidates: pd.DataFrame,
    accepted: Sample,
    real: pd.DataFrame,
    real_embeddings: Vectors,
    names: Sequence[str],
    seed: int,
) -> dict[str, Figures]:
    """Measure a step's candidates as `filters.relabelled` returns them, for "all" and for each label of `names`.

    Args:
        candidates: columns text, label, intended, read_as, reason ("" = accepted).
        accepted: the accepted ones, in their order.
        real: columns text, label; `real_embeddings` are its unit rows.
        names: the labels.
        seed: splits the real rows into halves.

    Returns:
        class -> measure -> `Pair`, None where a side has under `FEWEST_ROWS` rows.
    """
    labels = candidates.loc[candidates["reason"] == "", "label"]
    step = {}
    for index, name in enumerate(["all", *names]):
        chosen_real = _of_class(real["label"], name)
        figures = compare(
            accepted.take(np.flatnonzero(_of_class(labels, name))),
            Sample(real.loc[chosen_real, "text"].to_list(), real_embeddings[chosen_real]),
            np.random.default_rng([seed, index]),
        )
        asked = candidates[_of_class(candidates["intended"], name)]
        read = asked[asked["reason"].isin(["", "another_category"])]
        shares = {"relabel_agreement": read["read_as"] == read["intended"], "yield": asked["reason"] == ""}
        figures |= {key: Pair(_share(hits), None) for key, hits in shares.items()}
        step[name] = figures
    return step


def as_table(step: dict[str, Figures]) -> pd.DataFrame:
    """What `measure_step` returns, one row a class and measure: class, measure, synthetic, real."""
    rows = [
        (name, measure, pair.synthetic, pair.real)
        for name, figures in step.items()
        for measure, pair in figures.items()
    ]
    return pd.DataFrame(rows, columns=["class", "measure", "synthetic", "real"])


def compare(synthetic: Sample, real: Sample, random: np.random.Generator) -> Figures:
    """Every measure of `synthetic`, and of one random half of `real`; both sides against the other half.

    Most measures depend on the number of rows, so both sides are cut to the same number.
    """
    synthetic, shuffled = (sample.take(random.permutation(len(sample.texts))) for sample in (synthetic, real))
    rows = np.arange(len(real.texts))
    middle = len(rows) // 2
    half, reference = shuffled.take(rows[:middle]), shuffled.take(rows[middle:]).part(MOST_ROWS)
    size = min([MOST_ROWS, *(len(side.texts) for side in (synthetic, half) if len(side.texts) >= FEWEST_ROWS)])
    sides = synthetic.part(size), half.part(size)
    figures: Figures = {"rows": Pair(len(synthetic.texts), len(real.texts))}
    for name, measure in OF_ONE.items():
        figures[name] = Pair(*(round(measure(side), 4) if side else None for side in sides))
    for name, measure_against in OF_TWO.items():
        figures[name] = Pair(
            *(
                round(measure_against(side.embeddings, reference.embeddings), 4) if side and reference else None
                for side in sides
            )
        )
    return figures


def distinct(texts: Sequence[str], size: int) -> float:
    """Distinct-n: different n-grams over all words, more is more diverse (Li et al., NAACL 2016)."""
    tokens = [words(text) for text in texts]
    total = sum(map(len, tokens))
    return len({run for row in tokens for run in ngrams(row, size)}) / total if total else 0.0


def self_bleu(texts: Sequence[str], order: int = 4) -> float:
    """Mean BLEU of each text against all others, less is more diverse (Zhu et al., SIGIR 2018, "Texygen").

    A precision of zero counts as 0.1 matches (Chen and Cherry, WMT 2014, method 1); a text shorter than `order` words
    is measured up to its length. Linear in the texts: a clipped count needs only the two highest of each n-gram.
    """
    tokens = [row for row in map(words, texts) if row]
    if len(tokens) < 2:
        return 0.0
    lengths = sorted(map(len, tokens))
    logs: list[list[float]] = [[] for _ in tokens]
    for size in range(1, order + 1):
        counts = [Counter(ngrams(row, size)) for row in tokens]
        highest: dict[tuple[str, ...], tuple[int, int]] = {}
        for count in counts:
            for run, times in count.items():
                first, second = highest.get(run, (0, 0))
                highest[run] = (times, first) if times > first else (first, max(second, times))
        for row_logs, count in zip(logs, counts, strict=True):
            # The highest count of the other texts: where this text holds the highest, it is the second.
            matches = sum(min(times, highest[run][highest[run][0] == times]) for run, times in count.items())
            if count:
                row_logs.append(math.log((matches or 0.1) / count.total()) if matches or size > 1 else -math.inf)
    scores = [
        math.exp(sum(row_logs) / len(row_logs) + min(0.0, 1 - _closest_length(lengths, len(row)) / len(row)))
        for row_logs, row in zip(logs, tokens, strict=True)
    ]
    return float(np.mean(scores))


def vendi_score(embeddings: Vectors) -> float:
    """The effective number of different rows: exp of the entropy of K/n's eigenvalues (Friedman and Dieng, TMLR 2023).

    K is the cosine matrix. K/n and the smaller of the two Gram matrices share their eigenvalues.
    """
    rows = embeddings.astype(np.float64)
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    eigenvalues = np.linalg.eigvalsh(gram / len(rows))
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))


def frechet_distance(sample: FloatArray, reference: FloatArray) -> float:
    """Squared Fréchet distance of Gaussian fits to two arrays (rows, dimensions) (Heusel et al., NeurIPS 2017)."""
    shift = sample.mean(axis=0) - reference.mean(axis=0)
    covariances = [np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (sample, reference)]
    # The trace of the root of a product is the sum of the roots of its eigenvalues, which are real and not negative.
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(min=0))
    return max(0.0, float(shift @ shift + np.trace(covariances[0] + covariances[1]) - 2 * roots.sum()))


def frechet_embedding_distance(sample: Vectors, reference: Vectors) -> float:
    """`frechet_distance` in the first principal components of `reference`, at most one for two rows of `sample`.

    A covariance of hundreds of dimensions cannot be estimated from tens of rows. The number of components follows the
    rows, so figures of classes of different size do not compare; each compares with the real figure beside it.
    """
    components = min(FRECHET_DIMENSIONS, len(sample) // 2)
    centre = reference.mean(axis=0, dtype=np.float64)
    axes = np.linalg.svd(reference - centre, full_matrices=False)[2][:components]
    return frechet_distance((sample - centre) @ axes.T, (reference - centre) @ axes.T)


def classifier_auc(sample: Vectors, reference: Vectors) -> float:
    """How well logistic regression tells the two apart, by 5-fold cross-validation; 0.5 = not at all."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
    targets = np.repeat([1, 0], [len(sample), len(reference)])
    rows = np.concatenate([sample, reference])
    return float(cross_val_score(classifier, rows, targets, cv=folds, scoring="roc_auc").mean())


def nearest_similarity(sample: Vectors, reference: Vectors) -> float:
    """Mean cosine of each row to the nearest row of `reference`."""
    return float(nearest_cosine(sample, reference).mean())


def word_count(texts: Sequence[str], statistic: Callable[[list[int]], np.floating]) -> float:
    """A statistic of the lengths in words."""
    return float(statistic([len(words(text)) for text in texts]))


OF_ONE: dict[str, Callable[[Sample], float]] = {
    "distinct_1": lambda sample: distinct(sample.texts, 1),
    "distinct_2": lambda sample: distinct(sample.texts, 2),
    "self_bleu": lambda sample: self_bleu(sample.texts),
    "vendi_score": lambda sample: vendi_score(sample.embeddings),
    "words_mean": lambda sample: word_count(sample.texts, np.mean),
    "words_p10": lambda sample: word_count(sample.texts, lambda lengths: np.percentile(lengths, 10)),
    "words_p50": lambda sample: word_count(sample.texts, lambda lengths: np.percentile(lengths, 50)),
    "words_p90": lambda sample: word_count(sample.texts, lambda lengths: np.percentile(lengths, 90)),
}
OF_TWO: dict[str, Callable[[Vectors, Vectors], float]] = {
    "frechet_distance": frechet_embedding_distance,
    "classifier_auc": classifier_auc,
    "nearest_real_cosine": nearest_similarity,
}


def _of_class(labels: pd.Series, name: str) -> npt.NDArray[np.bool_]:
    return np.full(len(labels), True) if name == "all" else (labels == name).to_numpy(dtype=bool)


def _share(hits: pd.Series) -> float | None:
    return round(float(hits.mean()), 4) if len(hits) else None


def _closest_length(lengths: Sequence[int], length: int) -> int:
    """The length of another text that is closest to `length`, the shorter of two; `lengths` are sorted."""
    place = bisect_left(lengths, length)
    others = [*lengths[max(place - 1, 0) : place], *lengths[place + 1 : place + 2]]
    return min(others, key=lambda other: (abs(other - length), other))
