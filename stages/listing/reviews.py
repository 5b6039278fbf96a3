"""A list of reviews as the data of a page, where `reporting/reviews.js` shows a few of them at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

# The longest text that is shown whole.
LONGEST = 1000


def listing(
    rows: pd.DataFrame,
    facets: Mapping[str, Iterable[Sequence[str]]],
    facts: Mapping[str, tuple[str, str | None]],
    notes: Iterable[str],
) -> dict[str, Any]:
    """The list, in the order of `rows`, which have a column `text`.

    Texts and names stand in it once and as they are: a page shows them by `textContent` alone.

    Args:
        facets: what a reader can choose by: the name on the page, and what each row has of it.
        facts: what is said of a row: the name on the page, and the columns of what is said and of how sure (0…1) that
            is, if anybody knows. What differs from the first fact is marked.
        notes: a line below each row.
    """
    chosen = [_facet(name, values) for name, values in facets.items()]
    said = [_said(rows, *columns) for columns in facts.values()]
    return {
        "facets": [{"name": name, "values": values} for name, values, _ in chosen],
        "facts": list(facts),
        "rows": [
            [text, list(of_facets), list(of_facts), note]
            for text, of_facets, of_facts, note in zip(
                rows["text"].map(shortened),
                zip(*(of_rows for _, _, of_rows in chosen), strict=True),
                zip(*said, strict=True),
                notes,
                strict=True,
            )
        ],
    }


def each(column: pd.Series) -> list[list[str]]:
    """A column as a facet of which each row has one value, or none where there is ""."""
    return [[value] if value else [] for value in column]


def shortened(text: str) -> str:
    """A text of at most `LONGEST` characters."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def _facet(name: str, given: Iterable[Sequence[str]]) -> tuple[str, list[str], list[list[int]]]:
    """The name, its values by how many rows have them, and of each row the places of its values among these."""
    of_rows = list(given)
    counts = Counter(value for values in of_rows for value in values)
    place = {value: number for number, (value, _) in enumerate(counts.most_common())}
    return name, list(place), [[place[value] for value in values] for values in of_rows]


def _said(rows: pd.DataFrame, column: str, confidence: str | None) -> list[list[Any]]:
    sure = rows[confidence] if confidence else pd.Series(float("nan"), index=rows.index)
    return [
        [said, None if pd.isna(value) else round(float(value), 2)]
        for said, value in zip(rows[column], sure, strict=True)
    ]
