"""A student answers a table of any length, in the memory of a few of its rows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from stages.common.arrays import FloatArray
from stages.common.fingerprint import code_fingerprint, fingerprint
from stages.common.partial import Partial, open_partial
from stages.common.sha256 import file_digest
from stages.inference.output import open_output
from stages.ingestion import cleaning
from stages.reading.table import table_chunks, texts
from stages.running.errors import DataError
from stages.running.progress import Progress

logger = logging.getLogger(__name__)

ADDED = {"category": pa.string(), "confidence": pa.float64()}
# Texts between two steps of the progress bar.
TEXTS_AT_A_TIME = 256
# Parts in memory at a time when they are put together; in Parquet they become one row group.
PARTS_AT_A_TIME = 8


class Answers(Protocol):
    """What is asked of a classifier; see `inference.classifier.Classifier`."""

    labels: list[str]

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Distributions over `labels`, shape (texts, labels)."""
        ...


@dataclass(frozen=True)
class Options:
    """The column with the reviews, and the confidence below which the category stays empty."""

    text_column: str
    min_confidence: float


def answer_file(source: Path, target: Path, model: Path, load: Callable[[Path], Answers], options: Options) -> None:
    """Write the rows of `source` to `target` with category and confidence; rows without any text get neither.

    Answers are on disk chunk by chunk (see `common.partial`): the same call goes on with them, unless the input, the
    student in the folder `model` (which `load` loads), the code or an option is another one.

    Raises:
        DataError: `source` is no table of reviews (see `table_chunks`), has a column of the added names, or was
            changed meanwhile; `target` cannot be written, or another process writes it.
    """
    with open_partial(target) as partial:
        # To the end, before anything slow starts: a fault far down costs seconds, not the hours before it.
        rows = count_rows(source, options.text_column)
        classifier = load(model)
        content = file_digest(source).hex()
        question: dict[str, str | float] = {
            "input": content,
            "model": fingerprint(model),
            "--text-column": options.text_column,
            "--min-confidence": options.min_confidence,
            "code": code_fingerprint(
                *sorted(Path(cleaning.__file__).parent.glob("*.py")), *sorted(Path(__file__).parent.glob("*.py"))
            ),
        }
        partial.begin(question)
        done = partial.rows()
        if done:
            logger.info("going on at row %d of %d", done, rows)
        with Progress("classify", rows, "reviews", known=done) as progress:
            for chunk in _after(done, table_chunks(source, options.text_column, key="--input")):
                partial.add(answered(chunk, classifier, options, progress.update))
        if file_digest(source).hex() != content:
            raise DataError(f"{source} was changed while it was read; run the same command again")
        _put_together(partial, target)


def count_rows(source: Path, text_column: str, max_file_mib: int | None = None) -> int:
    """The rows of a table of reviews, read to its end; it may hold or unpack to `max_file_mib`.

    Raises:
        DataError: as `table_chunks` and `texts`; or a column has a name of those that are added.
    """
    rows = 0
    for chunk in table_chunks(source, text_column, max_file_mib, key="--input"):
        taken = [column for column in ADDED if column in chunk.column_names]
        if taken:
            raise DataError(f"{source} already has the column {taken[0]!r}; rename it, it would be overwritten")
        rows += len(texts(chunk, text_column))
    return rows


def answered(chunk: pa.Table, classifier: Answers, options: Options, advance: Callable[[int], object]) -> pa.Table:
    """`chunk` with the columns `category` and `confidence`; `advance` is told of so many rows as it goes."""
    # Training saw cleaned texts.
    cleaned = [cleaning.clean(text) for text in texts(chunk, options.text_column)]
    repeats = Counter(cleaned)
    best: dict[str, tuple[str, float | None]] = {"": ("", None)}
    advance(repeats.pop("", 0))
    # The same text is one question. Texts of like length are asked together, as those of as many tokens share a core.
    distinct = sorted(repeats, key=len)
    for start in range(0, len(distinct), TEXTS_AT_A_TIME):
        some = distinct[start : start + TEXTS_AT_A_TIME]
        for text, row in zip(some, classifier.predict_proba(some), strict=True):
            sure = row.max() >= options.min_confidence
            best[text] = (classifier.labels[row.argmax()] if sure else "", float(row.max().round(4)))
        advance(sum(repeats[text] for text in some))
    for place, (name, kind) in enumerate(ADDED.items()):
        chunk = chunk.append_column(name, pa.array([best[text][place] for text in cleaned], kind))
    return chunk


def _after(done: int, chunks: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows of `chunks` without the first `done`."""
    for chunk in chunks:
        if done < len(chunk):
            yield chunk.slice(done)
        done = max(0, done - len(chunk))


def _put_together(partial: Partial, target: Path) -> None:
    rows, silent, unsure = 0, 0, 0
    tables = partial.tables(PARTS_AT_A_TIME)
    first = next(tables)
    with partial.complete() as path, open_output(path, first.schema) as add:
        for table in chain([first], tables):
            add(table)
            without_text = table["confidence"].null_count
            rows += len(table)
            silent += without_text
            unsure += pc.sum(pc.equal(table["category"], "")).as_py() - without_text
    logger.info("%d reviews written to %s; %d without text, %d too unsure", rows, target, silent, unsure)
