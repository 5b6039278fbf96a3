"""The open batch: the reviews that people are asked about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.annotating.label_studio import labelling_config, tasks
from stages.common.texts import text_id
from stages.reading.table import read_whole
from stages.running.errors import DataError
from stages.running.io import atomic_path, write_table
from stages.running.spreadsheet import unescape_formulas

COLUMNS = (
    "id", "text", "label", "drawn", "split", "teacher", "second_opinion", "student", "confidence", "comment",
)  # fmt: skip
FILE = "batch.csv"


def write_batch(folder: Path, batch: pd.DataFrame, names: Sequence[str]) -> None:
    """Write a drawn batch as a table and as Label Studio's tasks with their labelling configuration."""
    with atomic_path(folder / "label_studio.json") as temporary:
        temporary.write_text(json.dumps(tasks(batch), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    with atomic_path(folder / "label_studio.xml") as temporary:
        temporary.write_text(labelling_config(names), encoding="utf-8")
    # The table comes last: a batch is open once it is there.
    write_table(folder / FILE, batch[list(COLUMNS)])


def read_batch(folder: Path) -> pd.DataFrame:
    """The open batch in `folder`, columns `COLUMNS`, all of them texts; no rows where there is none.

    A spreadsheet may have saved it, in its own encoding and with its own delimiter.

    Raises:
        DataError: the file cannot be read, or a column is missing.
    """
    path = folder / FILE
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS), dtype=str)
    batch = _read(path)
    missing = [name for name in COLUMNS if name not in batch]
    if missing:
        raise DataError(
            f"{path} lacks the columns {', '.join(missing)}; take what was answered by `make annotate ANSWERS={path}`, "
            "then draw anew by `make annotate ARGS=--new`"
        )
    return batch[list(COLUMNS)]


def read_drawn(folder: Path) -> pd.DataFrame:
    """Every review of the open batch and of those put aside that came to no harm: columns id, text, drawn.

    Raises:
        DataError: a file cannot be read.
    """
    drawn = pd.DataFrame(columns=["id", "text", "drawn"], dtype=str)
    for path in [*aside(folder), folder / FILE]:
        batch = _read(path) if path.exists() else drawn
        # Whoever filled it may have taken columns out.
        if set(drawn.columns) <= set(batch.columns):
            drawn = pd.concat([drawn, batch[list(drawn.columns)]])
    return drawn[drawn["id"] == drawn["text"].map(text_id)].drop_duplicates("id", keep="last").reset_index(drop=True)


def aside(folder: Path) -> list[Path]:
    """Batches that were put aside, the oldest first."""
    return sorted(folder.glob("batch-[0-9]*.csv"))


def put_aside(folder: Path) -> Path:
    """Move the batch in `folder` to a name of its own, which is returned."""
    return (folder / FILE).rename(folder / f"batch-{len(aside(folder)) + 1:03}.csv")


def _read(path: Path) -> pd.DataFrame:
    batch = unescape_formulas(read_whole(path, "text", key=path.name)).reset_index(drop=True)
    if "id" in batch:
        # A spreadsheet takes an id such as 12345678e0123456 for a number.
        sound = batch["id"].str.fullmatch("[0-9a-f]{16}")
        batch["id"] = batch["id"].where(sound, batch["text"].map(text_id))
    return batch
