"""Read a user's table of reviews, CSV or Parquet, and explain at once what is wrong with it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd

from stages.common.errors import DataError

DELIMITERS = (",", ";", "\t", "|")


def read_reviews_file(
    path: Path, text_column: str, max_file_mib: int | None = None, key: str = "data.path"
) -> pd.DataFrame:
    """Read `path`, which the parameter `key` names, with every column as text, empty cells as "".

    CSV: UTF-8 with or without a byte order mark, or UTF-16 with one; delimiter found from the header.

    Raises:
        DataError: the file is missing, a folder, empty, too large, not decodable, not a table, or lacks
            `text_column` (the message names the columns that exist).
    """
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
    if path.suffix == ".parquet":
        frame = _read_parquet(path)
    elif path.suffix in (".csv", ".tsv", ".txt"):
        frame = _read_csv(path, text_column)
    else:
        raise DataError(f"{path} has the ending {path.suffix!r}; save it as .csv or .parquet")
    if text_column not in frame.columns:
        existing = ", ".join(repr(str(column)) for column in frame.columns)
        raise DataError(f"{path} has no column {text_column!r}; it has {existing}. Name the one with the reviews")
    if frame.empty:
        raise DataError(f"{path} has a header but no rows")
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises several unrelated kinds for a damaged file
        raise DataError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from error
    return frame.astype(object).where(frame.notna(), "").astype(str)


def _read_csv(path: Path, text_column: str) -> pd.DataFrame:
    content = path.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {line}: not {encoding.removesuffix('-sig').upper()}; convert it first, "
            f"for instance `iconv -f CP1251 -t UTF-8 {path.name}`"
        ) from error
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise DataError(f"{path}, line {line}: a NUL byte; this is not a text file")
    header = text.lstrip().split("\n", 1)[0]
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=_delimiter(header, text_column), dtype=str, keep_default_na=False, index_col=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{path} is not a well-formed CSV ({reason}); quote cells that hold delimiters") from error
    return frame.fillna("")


def _delimiter(header: str, text_column: str) -> str:
    """The delimiter whose reading of the header has `text_column`; else the one that gives most columns."""
    readings = {mark: next(csv.reader([header], delimiter=mark), []) for mark in DELIMITERS}
    fitting = [mark for mark, names in readings.items() if text_column in [name.strip() for name in names]]
    return fitting[0] if fitting else max(readings, key=lambda mark: len(readings[mark]))
