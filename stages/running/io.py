"""Where results lie, and atomic reads and writes of them: a file or a folder is there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.running.errors import DataError
from stages.running.scratch import remove, scratch_file, scratch_folder
from stages.running.spreadsheet import escape_formulas, unescape_formulas

# Below the repository root; folders and files in them are named as in dvc.yaml.
DATA = Path("data")
# What is small enough for Git.
METRICS = Path("metrics")

# Columns of CSV whose cells are texts, whatever they look like: categories may be called 1 and 2.
TEXTS = dict.fromkeys(
    (
        "id", "text", "raw", "reason", "failure", "label", "teacher_label", "class", "actual", "predicted", "teacher",
        "intended", "read_as", "gold_set", "stratum", "flag", "who", "student", "over", "measure", "step", "provenance",
    ),
    str,
)  # fmt: skip


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it, synced to disk, when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_file(path.parent, f".{path.stem}-", path.suffix) as temporary:
        yield temporary
        temporary.chmod(0o644)
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that replaces it, synced to disk, when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path.parent, f".{path.name}.partial-") as new:
        new.chmod(0o755)
        yield new
        replace_folder(path, new)


@contextmanager
def syncing(folder: Path) -> Iterator[None]:
    """Have the disk write the files that are in `folder` while the block is busy with something else.

    `replace_folder` waits for the disk in any case; for less, where most is written by then.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    with ThreadPoolExecutor(1) as pool:
        synced = pool.map(_sync, files)
        yield
        # By way of a list, which raises what the disk said.
        list(synced)


def replace_folder(path: Path, new: Path) -> None:
    """Put the folder `new`, which lies beside `path`, in its place, synced to disk."""
    for inside in new.rglob("*"):
        _sync(inside)
    _sync(new)
    # A folder cannot replace another in one step: the old one is taken away whole, before a file of it is deleted.
    old = path.with_name(f".{path.name}.old")
    remove(old)
    if os.path.lexists(path):
        path.rename(old)
    new.rename(path)
    _sync(path.parent)
    remove(old)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


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
    """Write a frame as Parquet or, by the ending `.csv`, as UTF-8 CSV; the index is dropped.

    In a CSV, which people open in a spreadsheet, texts are escaped as of `escape_formulas`.
    """
    with table_writer(path) as add:
        add(frame)


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

        def add(frame: pd.DataFrame) -> None:
            to: Any = Rows(file)
            escape_formulas(frame).to_csv(to, index=False, header=file.tell() == 0, lineterminator=Rows.END)

        yield add


class Rows:
    r"""A file that rows of CSV are written to, to be ended by `\n`.

    The writer ends them by `END`, so that it quotes a cell with any of its characters: a lone `\r` would break the row.
    """

    END = "\r\n"

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        """Write a row with its end; the number of characters."""
        return self._file.write(row.removesuffix(self.END) + "\n")


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
    """Read a frame that `write_table` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        if path.suffix != ".csv":
            return pd.read_parquet(path)
        return unescape_formulas(pd.read_csv(path, dtype=TEXTS, keep_default_na=False))
    except (OSError, ValueError) as error:  # what pandas and pyarrow raise for a damaged file are kinds of the latter
        raise DataError(f"{path} cannot be read ({str(error).splitlines()[0]}); run `dvc repro`") from error
