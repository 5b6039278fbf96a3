"""Open batches for tests of the page to annotate on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.annotating.batch import COLUMNS
from stages.common.texts import text_id
from stages.running.io import write_table

CATEGORIES = (
    "бытовая техника", "обувь", "одежда", "посуда", "текстиль", "товары для детей", "украшения и аксессуары",
    "электроника", "нет товара",
)  # fmt: skip
SPLITS = ("test", "validation", "train", "train", "train")
# Of teacher, second opinion and student, and the student's confidence.
OPINIONS = ("одежда", "обувь", "посуда", "0.4821")


def write_batch(folder: Path, texts: Sequence[str]) -> list[str]:
    """Write `batch.csv` as `make annotate` does, the splits in turn; return the ids."""
    asked = zip(texts, SPLITS * len(texts), strict=False)
    rows = [
        (text_id(text), text, "", "uncertainty" if split == "train" else "random", split, *OPINIONS, "")
        for text, split in asked
    ]
    write_table(folder / "batch.csv", pd.DataFrame(rows, columns=list(COLUMNS)))
    return [row[0] for row in rows]
