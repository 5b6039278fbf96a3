"""Read a user's table of reviews, CSV or Parquet, and explain at once what is wrong with it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from stages.common.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
# Rows in memory at a time: some megabytes of reviews, and little to lose where each row takes long.
CHUNK_ROWS = 1024
BLOCK = 2**20


def read_reviews_file(
    path: Path, text_column: str, max_file_mib: int | None = None, key: str = "data.path"
) -> pd.DataFrame:
    """The whole of a file that is small enough to be held in memory; else as `review_chunks`."""
    return pd.concat(review_chunks(path, text_column, max_file_mib, key), ignore_index=True)


def review_chunks(
    path: Path,
    text_column: str,
    max_file_mib: int | None = None,
    key: str = "data.path",
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[pd.DataFrame]:
    """Read `path`, which the parameter `key` names, `chunk_rows` at a time: columns as text, empty cells as "".

    CSV: UTF-8 with or without a byte order mark, or UTF-16 with one; delimiter found from the header.

    Raises:
        DataError: the file is missing, a folder, empty, too large, not decodable, not a table, or lacks
            `text_column` (the message names the columns that exist). A fault is met when its chunk is read.
    """
    _require_file(path, text_column, max_file_mib, key)
    chunks = (
        _parquet_chunks(path, chunk_rows) if path.suffix == ".parquet" else _csv_chunks(path, text_column, chunk_rows)
    )
    rows = 0
    for chunk in chunks:
        if text_column not in chunk.columns:
            existing = ", ".join(repr(str(column)) for column in chunk.columns)
            raise DataError(f"{path} has no column {text_column!r}; it has {existing}. Name the one with the reviews")
        rows += len(chunk)
        if rows:
            yield chunk
    if not rows:
        raise DataError(f"{path} has a header but no rows")


def _require_file(path: Path, text_column: str, max_file_mib: int | None, key: str) -> None:
    if path.is_dir():
        inside = sorted(child.name for child in path.iterdir() if child.suffix in (".csv", ".parquet"))
        raise DataError(f"{path} is a folder; name a file" + (f" in it, such as {inside[0]}" if inside else ""))
    if not path.is_file():
        raise DataError(f"{path} does not exist; check {key}")
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path} is empty; it needs a header with a column {text_column!r} and a review a row")
    if max_file_mib is not None and size > max_file_mib * 2**20:
        raise DataError(
            f"{path} holds {size / 2**20:.0f} MiB, more than data.max_file_mib={max_file_mib}; split it or raise that"
        )
    if path.suffix not in (".parquet", ".csv", ".tsv", ".txt"):
        raise DataError(f"{path} has the ending {path.suffix!r}; save it as .csv or .parquet")


def _parquet_chunks(path: Path, chunk_rows: int) -> Iterator[pd.DataFrame]:
    try:
        # A buffer, or pyarrow would hold a whole row group, which may be the whole file.
        with pq.ParquetFile(path, buffer_size=BLOCK) as table:
            # Where a file has no rows, its columns are still to be looked at.
            yield _as_text(table.schema_arrow.empty_table().to_pandas())
            for batch in table.iter_batches(chunk_rows):
                # As objects: else whole numbers would be read as fractions in those chunks that lack one.
                yield _as_text(batch.to_pandas(integer_object_nulls=True))
    except Exception as error:  # pyarrow raises several unrelated kinds for a damaged file
        raise DataError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from error


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).where(frame.notna(), "").astype(str)


def _csv_chunks(path: Path, text_column: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    with path.open("rb") as opened:
        start = opened.read(2)
    encoding = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    with _Text(path, encoding) as text:
        delimiter = _delimiter(_header(text), text_column)
    try:
        with (
            _Text(path, encoding) as text,
            pd.read_csv(
                text, sep=delimiter, dtype=str, keep_default_na=False, index_col=False, chunksize=chunk_rows
            ) as chunks,
        ):
            for chunk in chunks:
                yield chunk.fillna("")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{path} is not a well-formed CSV ({reason}); quote cells that hold delimiters") from error


class _Text(io.TextIOBase):
    """A file's text, decoded as it is read; `DataError` with the line where it is no text."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._bytes = path.open("rb")
        self._line = 1

    def read(self, size: int | None = -1) -> str:
        """At most `size` characters; none at the end of the file."""
        while True:
            block = self._bytes.read(size)
            text = self._decoded(block)
            # A byte order mark, or half a character, is no text yet.
            if text or not block:
                return text

    def close(self) -> None:
        self._bytes.close()
        super().close()

    def _decoded(self, block: bytes) -> str:
        try:
            text = self._decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line = self._line + error.object[: error.start].count(b"\n")
            raise DataError(
                f"{self._path}, line {line}: not {self._encoding.removesuffix('-sig').upper()}; convert it first, "
                f"for instance `iconv -f CP1251 -t UTF-8 {self._path.name}`"
            ) from error
        if "\x00" in text:
            line = self._line + text[: text.index("\x00")].count("\n")
            raise DataError(f"{self._path}, line {line}: a NUL byte; this is not a text file")
        self._line += text.count("\n")
        return text


def _header(text: _Text) -> str:
    """The first line that is not blank."""
    seen = ""
    while not re.search(r"\S.*[\r\n]", seen) and (more := text.read(BLOCK)):
        seen += more
    return re.split(r"[\r\n]", seen.lstrip(), maxsplit=1)[0]


def _delimiter(header: str, text_column: str) -> str:
    """The delimiter whose reading of the header has `text_column`; else the one that gives most columns."""
    readings = {mark: next(csv.reader([header], delimiter=mark), []) for mark in DELIMITERS}
    fitting = [mark for mark, names in readings.items() if text_column in [name.strip() for name in names]]
    return fitting[0] if fitting else max(readings, key=lambda mark: len(readings[mark]))
