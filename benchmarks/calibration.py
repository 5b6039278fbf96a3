"""What checked reviews of a shop do for how sure the student is: its calibration error, as it is and scaled anew.

    python -m benchmarks.calibration FILE.csv …

Of each file (see `benchmarks.score_checked`) the random rows, or all where it has no strata. The temperature of the
run's final student is fitted to 25, 50 or 100 of them, drawn at random 40 times, or to four fifths for the other
fifth in turn; never are the rows scored that it was fitted to. In brackets behind each error that of chance, which
confidences exactly right would show on as many rows. Prints a table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scipy.special import softmax

from benchmarks.score_checked import checked_rows, random_rows
from stages.common.arrays import FloatArray, IntArray, label_indices
from stages.common.provenances import FINAL
from stages.composition.params import load_all
from stages.inference.answers import student_probabilities
from stages.running.io import DATA
from stages.scoring.metrics import calibration_error_by_chance, expected_calibration_error
from stages.training.temperature import fit_temperature

SIZES, DRAWS, FOLDS = (25, 50, 100), 40, 5
# Distributions (rows, labels) and what is right (rows,).
Scored = tuple[FloatArray, IntArray]


def main() -> None:
    """Ask the student once, then scale its answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    params = load_all()
    names = params.labels.names
    heads = ["as it is", *(f"by {size} rows" for size in SIZES), "by four fifths"]
    print(f"| rows | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}")
    for file in parser.parse_args().files:
        rows = random_rows(checked_rows(file, names))
        answers = student_probabilities(
            DATA / "students" / FINAL, rows["text"].to_list(), params.answer.batch_size, names
        )
        logits, actual = np.log(np.maximum(answers, 1e-12)), label_indices(rows["label"], names)
        cells = [_errors([(answers, actual)])]
        cells += [_errors(by_a_few(logits, actual, size)) if 2 * size <= len(rows) else "" for size in SIZES]
        cells.append(_errors(cross_fitted(logits, actual)))
        print(f"| {file.stem}, {len(rows)} | {' | '.join(cells)} |", flush=True)


def by_a_few(logits: FloatArray, actual: IntArray, size: int) -> Iterator[Scored]:
    """For each draw the rows left over, scaled by the temperature of the `size` rows drawn."""
    certain = np.eye(logits.shape[1])[actual]
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(actual))
        drawn, left = order[:size], order[size:]
        yield scaled(logits[left], fit_temperature(logits[drawn], certain[drawn])), actual[left]


def cross_fitted(logits: FloatArray, actual: IntArray) -> Iterator[Scored]:
    """For each draw of folds all rows, each scaled by the temperature of the other folds."""
    certain = np.eye(logits.shape[1])[actual]
    for draw in range(DRAWS):
        fold = np.random.default_rng(draw).permutation(len(actual)) % FOLDS
        probabilities = np.empty_like(logits)
        for held_out in range(FOLDS):
            here = fold == held_out
            probabilities[here] = scaled(logits[here], fit_temperature(logits[~here], certain[~here]))
        yield probabilities, actual


def scaled(logits: FloatArray, temperature: float) -> FloatArray:
    """Distributions at this temperature, which comes on top of the student's own."""
    distributions: FloatArray = softmax(logits / temperature, axis=1)
    return distributions


def _errors(draws: Iterable[Scored]) -> str:
    found = [
        (expected_calibration_error(probabilities, actual), calibration_error_by_chance(probabilities, draw))
        for draw, (probabilities, actual) in enumerate(draws)
    ]
    error, chance = np.mean(found, axis=0)
    return f"{error:.3f} ({chance:.3f})"


if __name__ == "__main__":
    main()
