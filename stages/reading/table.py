"""Read a user's table of texts, whatever format it is in, and explain at once what is wrong with it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa

from stages.reading.content import Kind, blocks, kind_of
from stages.reading.delimited import delimited_rows, listed
from stages.reading.encoding import detect
from stages.reading.json_lines import json_rows
from stages.reading.parquet import parquet_chunks
from stages.reading.rows import Rows
from stages.reading.workbook import workbook_rows
from stages.running.errors import DataError

logger = logging.getLogger(__name__)

# Rows in memory at a time: some megabytes of reviews, and little to lose where each row takes long.
CHUNK_ROWS = 1024
# What programs write where there is nothing.
MISSING = frozenset({"na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "#null!", "none", "nil", "nat"})


def read_whole(path: Path, column: str, max_file_mib: int | None = None, key: str = "data.path") -> pd.DataFrame:
    """A small file as a frame of its texts, by the row numbers that a spreadsheet shows.

    Raises:
        DataError: as `numbered_chunks` and `texts`.
    """
    parts = []
    for numbers, chunk in numbered_chunks(path, column, max_file_mib, key):
        names = [field.name for field in chunk.schema if not pa.types.is_nested(field.type)]
        cells = {name: texts(chunk, name) for name in {column: None, **dict.fromkeys(names)}}
        parts.append(pd.DataFrame(cells, index=numbers, dtype=str))
    return pd.concat(parts)


def table_chunks(
    path: Path, column: str, max_file_mib: int | None = None, key: str = "data.path", chunk_rows: int = CHUNK_ROWS
) -> Iterator[pa.Table]:
    """As `numbered_chunks`, without the numbers."""
    for _, chunk in numbered_chunks(path, column, max_file_mib, key, chunk_rows):
        yield chunk


def numbered_chunks(
    path: Path, column: str, max_file_mib: int | None = None, key: str = "data.path", chunk_rows: int = CHUNK_ROWS
) -> Iterator[tuple[list[int], pa.Table]]:
    """Read `path`, which the parameter `key` names, at most `chunk_rows` rows at a time, each row with its number.

    Delimited text, JSON lines, either of them packed by gzip, workbooks and Parquet, told apart by what is in them.
    Columns have the names and, in Parquet, the types of the file; all else is text. Numbers are those of a spreadsheet,
    in which the header is row 1, or lines of JSON.

    Raises:
        DataError: the file is missing, a folder, empty, too large, not decodable, not a table, or lacks `column` (the
            message names the columns that exist). Of text that is known before the first chunk comes, of Parquet where
            it is damaged.
    """
    _require_file(path, column, max_file_mib, key)
    limit = None if max_file_mib is None else max_file_mib * 2**20
    if kind_of(path) is Kind.PARQUET:
        chunks = _numbered(parquet_chunks(path, chunk_rows, limit))
    else:
        stat = path.stat()
        chunks = _as_tables(_rows(path, column, limit, (stat.st_size, stat.st_mtime_ns)), chunk_rows)
    some = False
    for numbers, chunk in chunks:
        _require_column(path, column, chunk.column_names)
        if numbers:
            some = True
            yield numbers, chunk
    if not some:
        raise DataError(f"{path} has a header but no rows")


def texts(chunk: pa.Table, column: str) -> list[str]:
    """The cells of a column as texts; "" where there is none, and where a program wrote a word for that.

    Raises:
        DataError: the column holds bytes that are no UTF-8, or lists.
    """
    kind = chunk.schema.field(column).type
    if pa.types.is_nested(kind):
        raise DataError(f"column {column!r} holds {kind}, no texts")
    try:
        values = chunk[column].cast(pa.string()).to_pylist()
    except pa.ArrowInvalid as error:
        raise DataError(f"column {column!r} holds {kind} that is no text in UTF-8: {error}") from error
    return ["" if value is None or value.strip().casefold() in MISSING else value for value in values]


def forget() -> None:
    """Let go of what is remembered of files: workbooks are held as a whole."""
    _rows.cache_clear()


def _require_file(path: Path, column: str, max_file_mib: int | None, key: str) -> None:
    if path.is_dir():
        inside = sorted(child.name for child in path.iterdir() if child.suffix in (".csv", ".parquet", ".xlsx"))
        raise DataError(f"{path} is a folder; name a file" + (f" in it, such as {inside[0]}" if inside else ""))
    if not path.is_file():
        raise DataError(f"{path} does not exist; check {key}")
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if size == 0:
        raise DataError(f"{path} is empty; it needs a header with a column {column!r} and a review a row")
    if max_file_mib is not None and size > max_file_mib * 2**20:
        raise DataError(
            f"{path} holds {size / 2**20:.0f} MiB, more than data.max_file_mib={max_file_mib}; split it or raise that"
        )


def _require_column(path: Path, column: str, names: list[str]) -> None:
    if column not in names:
        raise DataError(f"{path} has no column {column!r}; it has {listed(names)}. Name the one with the reviews")
    if names.count(column) > 1:
        raise DataError(f"{path} has {names.count(column)} columns {column!r}; rename all but the one to be read")


@lru_cache(maxsize=8)
def _rows(path: Path, column: str, limit: int | None, _state: tuple[int, int]) -> Rows:
    """The rows of a file that is not Parquet; its size and time of change are there to know it by.

    What it takes to find out how a file is to be read is done, and said, once.
    """
    kind = kind_of(path)
    if kind is Kind.WORKBOOK:
        return workbook_rows(path, column, limit)
    content = partial(blocks, path, limit)
    encoding = detect(content(), str(path))
    if kind is Kind.JSON_LINES:
        return json_rows(path, encoding, content)
    return delimited_rows(path, column, encoding, content)


def _as_tables(rows: Rows, chunk_rows: int) -> Iterator[tuple[list[int], pa.Table]]:
    empty: list[list[str]] = [[] for _ in rows.names]
    reading = rows.read()
    yield [], _table(rows.names, empty)
    while part := list(islice(reading, chunk_rows)):
        numbers, cells = zip(*part, strict=True)
        yield list(numbers), _table(rows.names, zip(*cells, strict=True))


def _table(names: list[str], columns: Iterable[Sequence[str]]) -> pa.Table:
    return pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], names=names)


def _numbered(chunks: Iterator[pa.Table]) -> Iterator[tuple[list[int], pa.Table]]:
    following = 2
    for chunk in chunks:
        yield list(range(following, following + len(chunk))), chunk
        following += len(chunk)
