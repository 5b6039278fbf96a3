"""The files that a run starts from: reviews, checked reviews, and what they must not share."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from stages.common.texts import letters
from stages.ingestion.config import Data
from stages.ingestion.intake import letters_of, take_in_gold, without
from stages.ingestion.tables import GOLD
from stages.reading.table import numbered_chunks, read_whole, texts
from stages.running.errors import DataError

logger = logging.getLogger(__name__)

# Rows in memory at a time, and in a row group of the reviews.
CHUNK_ROWS = 16_384


def raw_texts(data: Data) -> Iterator[tuple[list[int], list[str]]]:
    """The first `data.limit` texts of the input and the numbers of their rows, some at a time.

    It is read to its end all the same, to tell what is wrong with it.

    Raises:
        DataError: as `numbered_chunks` and `texts`.
    """
    left = sys.maxsize if data.limit is None else data.limit
    for rows, chunk in numbered_chunks(Path(data.path), data.text_column, data.max_file_mib, chunk_rows=CHUNK_ROWS):
        if left:
            yield rows[:left], texts(chunk, data.text_column)[:left]
        left = max(0, left - len(chunk))


def read_gold(data: Data, labels: list[str]) -> pd.DataFrame:
    """All gold sets in one table (schema GOLD); empty if there are none.

    Raises:
        DataError: as `read_whole` and `take_in_gold`.
    """
    return _read_checked(data, data.gold.sets, labels, "data.gold.sets.")


def read_calibration(data: Data, labels: list[str], gold: pd.DataFrame) -> pd.DataFrame:
    """The rows of `data.gold.calibration` that no gold set has (schema GOLD); none where it names no file.

    Raises:
        DataError: as `read_gold`; or no row is left.
    """
    file = data.gold.calibration
    rows = _read_checked(data, {"calibration": file}, labels, "data.gold.")
    left = without(rows, gold)
    if len(left) < len(rows):
        logger.warning("%s: %d rows are left out, as a gold set has them too", file, len(rows) - len(left))
    if file is not None and left.empty:
        raise DataError(f"data.gold.calibration={file}: a gold set has all of its rows; what is scored cannot be used")
    return left


def reserved(gold: pd.DataFrame, calibration: pd.DataFrame, seeds: pd.DataFrame) -> dict[str, str]:
    """Letters of the texts that no review may repeat -> why not.

    Raises:
        DataError: a seed is among the checked texts: what a student learns from cannot be scored.
    """
    checked = letters_of(gold, calibration)
    for row, text in zip(seeds["row"], seeds["text"], strict=True):
        if letters(text) in checked:
            raise DataError(f"vocabulary.seeds, row {row}: {text[:60]!r} is also in a checked file; take it out of one")
    written = dict.fromkeys(letters_of(seeds), "also among the written seeds")
    return written | dict.fromkeys(checked, "also in a checked file")


def _read_checked(data: Data, sets: Mapping[str, str | None], labels: list[str], key: str) -> pd.DataFrame:
    """The files of `sets` in `data.gold.folder`; `key` and a set's name are the parameter that names its file."""
    tables = []
    for name, file in sets.items():
        if file is not None:
            path = Path(data.gold.folder) / file
            raw = read_whole(path, "text", data.max_file_mib, key + name)
            tables.append(take_in_gold(raw, name, labels, str(path)))
    empty = pd.DataFrame({name: pd.Series(dtype=int if name == "row" else str) for name in GOLD.columns})
    return pd.concat(tables, ignore_index=True) if tables else empty
