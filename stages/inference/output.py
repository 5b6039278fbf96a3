"""A user's table with what was added to it, as CSV or Parquet: columns come back as they went in."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from stages.running.io import Rows
from stages.running.spreadsheet import defused


@contextmanager
def open_output(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that adds a table with `schema` to the file at `path`.

    Parquet keeps names, types and metadata; of CSV see `csv_writer`.
    """
    if path.suffix == ".parquet":
        with pq.ParquetWriter(path, schema) as parquet:
            yield parquet.write_table
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        yield csv_writer(file, schema)


def csv_writer(file: TextIO, schema: pa.Schema) -> Callable[[pa.Table], None]:
    """Write the header to `file`; the function that is returned adds the rows of a table.

    A CSV may be opened in a spreadsheet: names and cells of text are `defused`. Lists and structures are JSON, and what
    is null is empty.
    """
    rows = csv.writer(Rows(file), lineterminator=Rows.END)
    rows.writerow(map(defused, schema.names))

    def add(table: pa.Table) -> None:
        rows.writerows(zip(*(map(_cell, column.to_pylist()) for column in table.columns), strict=True))

    return add


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return defused(json.dumps(value, ensure_ascii=False, default=_plain))
    return defused(_plain(value))


def _plain(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
