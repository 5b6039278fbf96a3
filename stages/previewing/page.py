"""The preview as a page, and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stages.pages.templates import templates
from stages.previewing.rows import Row

FOLDER = Path(__file__).parent
# Characters of a review that a line of the terminal has room for.
SHOWN = 56


def page(given: Mapping[str, Any]) -> str:
    """The page as HTML without outside parts and without a script; what reviews hold stays text."""
    return templates(FOLDER).get_template("page.html.jinja").render(given)


def review_table(rows: Sequence[Row]) -> str:
    """The reviews as lines of a terminal."""
    shown = pd.DataFrame(
        {
            "review": [one_line(row["text"]) for row in rows],
            "teacher": [row["teacher"] or "–" for row in rows],
            "sure": ["" if math.isnan(row["confidence"]) else f"{row['confidence']:.2f}" for row in rows],
            "second opinion": [row["opinion"] or "–" for row in rows],
            "curated": [row["curated"] + " *" * row["changed"] or "–" for row in rows],
        }
    )
    return table(shown)


def table(frame: pd.DataFrame) -> str:
    """A frame of texts, each column to the left."""
    if frame.empty:
        return "none"
    aligned = {name: column.str.ljust(column.str.len().max()) for name, column in frame.items()}
    return str(pd.DataFrame(aligned).to_string(index=False, justify="left"))


def one_line(text: str) -> str:
    """The beginning of a text without control characters, so that no review moves the cursor."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1].rstrip() + "…"
