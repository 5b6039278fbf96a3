"""Classify new reviews with a trained student: a table in, the table with two more columns out; or one text."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

from stages.common.errors import DataError, run_stage
from stages.common.io import DATA, write_table
from stages.common.reading import read_reviews_file
from stages.common.spreadsheet import escape_formulas
from stages.inference.classifier import Classifier
from stages.ingestion.cleaning import clean

logger = logging.getLogger(__name__)


def main() -> None:
    """Read `--input` and write `--output`, or answer for the text on standard input."""
    parser = argparse.ArgumentParser(description="Category and confidence of Russian product reviews.")
    parser.add_argument("--input", type=Path, help="CSV or Parquet; without it, one review is read from standard input")
    parser.add_argument(
        "--output", type=Path, help="CSV or Parquet to write: the input's columns, category, confidence"
    )
    parser.add_argument("--text-column", default="text", help="column with the reviews (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=DATA / "student", help="student's folder (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="reviews a batch (default: %(default)s)")
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=0.0,
        help="leave the category empty below this confidence, 0 to 1 (default: %(default)s; metrics/coverage.csv tells "
        "what share of reviews passes, and how accurate they are)",
    )
    arguments = parser.parse_args()
    if (arguments.input is None) != (arguments.output is None):
        parser.error("--input and --output go together")
    if arguments.batch_size < 1:
        parser.error("--batch-size must be at least 1")
    if not 0 <= arguments.min_confidence <= 1:
        parser.error("--min-confidence must be within 0 and 1")
    if arguments.input is None:
        answer_one(arguments.model, arguments.min_confidence)
        return
    answer_file(
        arguments.input,
        arguments.output,
        arguments.text_column,
        arguments.model,
        arguments.batch_size,
        arguments.min_confidence,
    )


def answer_one(model: Path, min_confidence: float = 0.0) -> None:
    """Print category (empty below `min_confidence`) and confidence of the review on standard input."""
    text = clean(sys.stdin.read())
    if not text:
        raise DataError(
            "standard input is empty; pass a review, for instance `echo Платье село | python -m stages.predict`"
        )
    classifier = Classifier(model)
    (probabilities,) = classifier.predict_batch([text])
    category = classifier.labels[probabilities.argmax()] if probabilities.max() >= min_confidence else ""
    print(f"{category}\t{probabilities.max():.4f}")


def answer_file(
    source: Path, target: Path, text_column: str, model: Path, batch_size: int, min_confidence: float = 0.0
) -> None:
    """Add category and confidence to the rows of a table; rows without any text get neither.

    Below `min_confidence` the category stays empty.
    """
    require_target(source, target)
    frame = read_reviews_file(source, text_column)
    taken = [column for column in ("category", "confidence") if column in frame]
    if taken:
        raise DataError(f"{source} already has the column {taken[0]!r}; rename it, it would be overwritten")
    # Training saw cleaned texts.
    texts = [clean(text) for text in frame[text_column]]
    classifier = Classifier(model)
    probabilities = classifier.predict_proba(texts, batch_size)
    categories = [classifier.labels[index] for index in probabilities.argmax(axis=1)]
    answered = [bool(text) for text in texts] & (probabilities.max(axis=1) >= min_confidence)
    frame["category"] = np.where(answered, categories, "")
    frame["confidence"] = [
        value if text else None for value, text in zip(probabilities.max(axis=1).round(4), texts, strict=True)
    ]
    write_table(target, escape_formulas(frame) if target.suffix == ".csv" else frame)
    unsure = len(texts) - int(answered.sum()) - texts.count("")
    logger.info("%d reviews written to %s; %d without text, %d too unsure", len(texts), target, texts.count(""), unsure)


def require_target(source: Path, target: Path) -> None:
    """Raise `DataError` unless `target` can be written, before anything slow starts."""
    if target.suffix not in (".csv", ".parquet"):
        raise DataError(f"--output {target} has the ending {target.suffix!r}; use .csv or .parquet")
    if target.is_dir():
        raise DataError(f"--output {target} is a folder; name a file")
    if target.resolve() == source.resolve():
        raise DataError(f"--output {target} is the input; name another file")


if __name__ == "__main__":
    run_stage(main)
