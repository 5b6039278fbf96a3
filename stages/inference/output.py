"""A user's table with what was added to it, as CSV or Parquet: columns come back as they went in."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.common.io import Rows
from stages.common.spreadsheet import defused


@contextmanager
def open_output(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that adds a table with `schema` to the file at `path`.

    Parquet keeps names, types and metadata. In a CSV, which may be opened in a spreadsheet, names and cells of text are
    `defused`; lists and structures are JSON, and what is null is empty.
    """
    if path.suffix == ".parquet":
        with pq.ParquetWriter(path, schema) as parquet:
            yield parquet.write_table
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(Rows(file), lineterminator=Rows.END)
        rows.writerow(map(defused, schema.names))
        yield lambda table: rows.writerows(
            zip(*(map(_cell, column.to_pylist()) for column in table.columns), strict=True)
        )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return defused(json.dumps(value, ensure_ascii=False, default=_plain))
    return defused(_plain(value))


def _plain(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
