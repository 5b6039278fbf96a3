"""Classify new reviews with a trained student: a table in, the table with two more columns out; or one text.

A table may be of any length, and an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from stages.inference.load import load_classifier
from stages.inference.streaming import Options, answer_file
from stages.ingestion.cleaning import clean
from stages.reading.encoding import decode
from stages.running.errors import DataError, run_stage
from stages.running.interruption import keeps
from stages.running.io import DATA

logger = logging.getLogger(__name__)


def main() -> None:
    """Read `--input` and write `--output`, or answer for the text on standard input."""
    parser = argparse.ArgumentParser(description="Category and confidence of Russian product reviews.")
    parser.add_argument(
        "--input",
        type=Path,
        help="CSV, workbook, JSON lines or Parquet; without it, one review is read from standard input",
    )
    parser.add_argument(
        "--output", type=Path, help="CSV or Parquet to write: the input's columns, category, confidence"
    )
    parser.add_argument("--text-column", default="text", help="column with the reviews (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=DATA / "student", help="student's folder (default: %(default)s)")
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
    if not 0 <= arguments.min_confidence <= 1:
        parser.error("--min-confidence must be within 0 and 1")
    if arguments.input is None:
        answer_one(arguments.model, arguments.min_confidence)
        return
    require_target(arguments.input, arguments.output)
    keeps(f"The rows answered so far are in {arguments.output}.part; the same command goes on from them.")
    options = Options(arguments.text_column, arguments.min_confidence)
    answer_file(arguments.input, arguments.output, arguments.model, load_classifier, options)


def answer_one(model: Path, min_confidence: float = 0.0) -> None:
    """Print category (empty below `min_confidence`) and confidence of the review on standard input."""
    given, encoding = decode(sys.stdin.buffer.read(), "standard input")
    if not encoding.startswith("utf-8"):
        logger.warning("standard input is read as %s", encoding)
    text = clean(given)
    if not text:
        raise DataError(
            "standard input is empty; pass a review, for instance `echo Платье село | python -m stages.predict`"
        )
    classifier = load_classifier(model)
    (probabilities,) = classifier.predict_proba([text])
    category = classifier.labels[probabilities.argmax()] if probabilities.max() >= min_confidence else ""
    print(f"{category}\t{probabilities.max():.4f}")


def require_target(source: Path, target: Path) -> None:
    """Raise `DataError` unless `target` can be written, before anything slow starts."""
    if target.suffix not in (".csv", ".parquet"):
        raise DataError(f"--output {target} has the ending {target.suffix!r}; use .csv or .parquet")
    if target.is_dir():
        raise DataError(f"--output {target} is a folder; name a file")
    if target.resolve() == source.resolve():
        raise DataError(f"--output {target} is the input; name another file")


if __name__ == "__main__":
    run_stage(main, "Nothing was stored.")
