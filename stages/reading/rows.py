"""Rows of text, before they are a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

# A row's number as a spreadsheet counts it (the first line of the file is row 1), and its cells.
Row: TypeAlias = "tuple[int, list[str]]"
# So far down a header is looked for: exports put titles before it.
HEADER_WITHIN = 20


@dataclass(frozen=True)
class Rows:
    """The columns' names and, as often as it is asked for, the rows below them; a row has a cell for each name."""

    names: list[str]
    read: Callable[[], Iterator[Row]]


def name_of(cell: str) -> str:
    """A column's name without the spaces around it, which nobody sees; hard ones and byte order marks too."""
    return " ".join(cell.replace("\ufeff", "").split())


def header_in(rows: Sequence[Sequence[str]], column: str) -> int | None:
    """Which of the first `rows` names `column`."""
    return next((index for index, row in enumerate(rows) if column in map(name_of, row)), None)


def names_of(header: Sequence[str]) -> list[str]:
    """The names in a header, without empty ones at its end, which delimiters without cells leave behind."""
    names = [name_of(cell) for cell in header]
    while names and not names[-1]:
        names.pop()
    return names
