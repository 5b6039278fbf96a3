"""Where results lie, and atomic reads and writes of them: a file is there whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

# Below the repository root; folders and files in them are named as in dvc.yaml.
DATA = Path("data")
# What is small enough for Git.
METRICS = Path("metrics")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it, synced to disk, when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON.

    Cyrillic is escaped: DVC takes a metrics file whose first bytes are mostly beyond ASCII for a binary one.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="ascii")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as Parquet or, by the ending `.csv`, as UTF-8 CSV; the index is dropped."""
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False, lineterminator="\n")
        else:
            frame.to_parquet(temporary, index=False)


@contextmanager
def table_writer(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yield a function that adds a frame to the table at `path`, which is there when the block succeeds.

    What `write_table` would write of all frames together, with one of them in memory at a time; in Parquet each is a
    row group. All have the first one's columns, and there is at least one, which may be empty.
    """
    with atomic_path(path) as temporary, (_add_to_csv if path.suffix == ".csv" else _add_to_parquet)(temporary) as add:
        yield add


@contextmanager
def _add_to_csv(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda frame: frame.to_csv(file, index=False, header=file.tell() == 0, lineterminator="\n")


@contextmanager
def _add_to_parquet(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    writer: pq.ParquetWriter | None = None

    def add(frame: pd.DataFrame) -> None:
        nonlocal writer
        table = pa.Table.from_pandas(frame, schema=writer and writer.schema, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield add
    finally:
        if writer is not None:
            writer.close()


def read_table(path: Path) -> pd.DataFrame:
    """Read a frame that `write_table` wrote."""
    return pd.read_csv(path, keep_default_na=False) if path.suffix == ".csv" else pd.read_parquet(path)
