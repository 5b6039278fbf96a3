"""Delimited text: which delimiter and which quoting its rows are sound in."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from stages.reading.encoding import MAX_LINE, UTF8, path_lines, spelled
from stages.reading.rows import HEADER_WITHIN, Row, Rows, header_in, name_of, names_of
from stages.running.errors import DataError

logger = logging.getLogger(__name__)

DELIMITERS = (",", ";", "\t", "|")
# Of a table of one column; a code point that no text has.
NO_DELIMITER = "\uffff"
# Lines in which the header is looked for.
FIRST_LINES = 200
# A cell whose inner lines all have the delimiters of a row has swallowed rows. Of so many lines no review is like that
# by chance: commas are common in them, other delimiters are not.
SWALLOWED, SWALLOWED_BY_COMMAS = 3, 8
# In a table of one column nothing but their number tells.
MANY_LINES = 10

csv.field_size_limit(MAX_LINE)

# Ways to quote, the usual one first. Another is taken only where those before it do not fit the file from its first
# row to its last.
QUOTING: dict[str, dict[str, Any]] = {
    "doubled quotes": {},
    "quotes after backslashes": {"escapechar": "\\"},
    "spaces before quotes": {"skipinitialspace": True},
    "no quoting": {"quoting": csv.QUOTE_NONE},
}


class _UnsoundError(Exception):
    """The rows are not what was meant; the message says where and why."""


@dataclass(frozen=True)
class _Layout:
    """Where the rows begin, after so many lines and spreadsheet rows, and how they are divided."""

    delimiter: str
    lines_before: int
    rows_before: int
    names: list[str]


@dataclass
class _Doubts:
    """What may be right and may be a fault: how many rows, and the line of the first."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, line: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        self.first.setdefault(what, line)

    def tell(self, path: Path) -> None:
        for what, count in self.counts.items():
            logger.warning("%s, line %d%s: %s", path, self.first[what], f" and {count - 1} more" * (count > 1), what)


def delimited_rows(path: Path, column: str, encoding: str, blocks: Callable[[], Iterable[bytes]]) -> Rows:
    """The rows of `path`, which has a column `column`; `blocks` gives its bytes anew.

    The whole file is read once before its rows are, to see which quoting fits all of them: what is wrong with the last
    row is known before the first is used. That takes some 2 s of a million reviews, and no copy on the disk.

    Raises:
        DataError: no such column, or no quoting fits; the message names the line.
    """

    def lines() -> Iterator[str]:
        return path_lines(path, encoding, blocks())

    layout = _layout(path, column, list(islice(lines(), FIRST_LINES)))
    if encoding != UTF8:
        logger.info("%s is read as %s", path, spelled(encoding))
    faults = []
    for name, options in QUOTING.items():

        def records(options: dict[str, Any] = options, doubts: _Doubts | None = None) -> Iterator[Row]:
            return _records(lines(), layout, options, _Doubts() if doubts is None else doubts)

        doubts = _Doubts()
        try:
            for _ in records(doubts=doubts):
                pass
        except _UnsoundError as error:
            faults.append(str(error))
            continue
        if faults:
            logger.info("%s: its cells have %s", path, name)
        doubts.tell(path)
        return Rows(layout.names, records)
    raise DataError(f"{path}, {faults[0]}")


def _layout(path: Path, column: str, lines: list[str]) -> _Layout:
    """Find the header: the first row that names `column` under some delimiter, the one that gives it most names."""
    declared = re.fullmatch(r'"?sep=(.)"?', lines[0].strip()) if lines else None
    marks = (declared[1],) if declared else DELIMITERS
    # Excel hides the line that declares it, and counts from the next.
    start = 1 if declared else 0
    found = []
    for mark in marks:
        firsts = list(islice(_first_rows(lines[start:], mark), HEADER_WITHIN))
        index = header_in([row for _, row in firsts], column)
        if index is not None:
            end, header = firsts[index]
            found.append((index, -len(header), mark, end, header))
    if not found:
        headers = [next((row for _, row in _first_rows(lines[start:], mark) if any(row)), []) for mark in marks]
        longest = max(headers, key=lambda header: len(header))
        raise DataError(f"{path} has no column {column!r}; it has {listed(longest)}. Name the one with the reviews")
    index, _, mark, end, header = min(found)
    names = names_of(header)
    if index:
        logger.info("%s: its header is row %d; what stands before it is left out", path, index + 1)
    return _Layout(mark if len(header) > 1 else NO_DELIMITER, start + end, index + 1, names)


def _first_rows(lines: list[str], mark: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file's first lines, each with the number of lines up to its end, as far as they can be read."""
    reader = csv.reader(lines, delimiter=mark, strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error:
        return


def _records(lines: Iterable[str], layout: _Layout, options: dict[str, Any], doubts: _Doubts) -> Iterator[Row]:
    """The rows below the header, each with a cell for every name; blank ones are passed over, and counted."""
    reader = csv.reader(islice(lines, layout.lines_before, None), delimiter=layout.delimiter, strict=True, **options)
    bare = options.get("quoting") == csv.QUOTE_NONE
    width, number = len(layout.names), layout.rows_before
    while True:
        line = layout.lines_before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _UnsoundError(f"line {line}: {error}; double the quotes inside cells, and quote line ends") from error
        number += 1
        if not cells:
            continue
        if len(cells) != width:
            cells = _fitted(cells, layout, line, doubts, exactly=bare)
        if bare:
            cells = [_unwrapped(cell, line, alone=width == 1) for cell in cells]
        elif layout.lines_before + reader.line_num > line:
            for cell in cells:
                _look_for_rows(cell, layout, line, doubts)
        yield number, cells


def _fitted(cells: list[str], layout: _Layout, line: int, doubts: _Doubts, *, exactly: bool) -> list[str]:
    """As many cells as there are names; what delimiters at a row's end add is empty, what they lack is too."""
    width = len(layout.names)
    if any(map(str.strip, cells[width:])) or (exactly and len(cells) < width):
        raise _UnsoundError(
            f"line {line}: {len(cells)} cells under {width} names; quote cells that hold {layout.delimiter!r}"
        )
    if len(cells) < width:
        doubts.add(f"fewer cells than the {width} names of the header; those missing are taken for empty", line)
    return [*cells[:width], *[""] * (width - len(cells))]


def _look_for_rows(cell: str, layout: _Layout, line: int, doubts: _Doubts) -> None:
    """Refuse a cell of several lines that are rows, or doubt it: two stray quotes make one cell of all between them."""
    inner = re.split(r"\r\n|\n|\r", cell)
    if len(inner) == 1:
        return
    between = len(layout.names) - 1
    if not between:
        if len(inner) >= MANY_LINES:
            doubts.add(f"a cell of {len(inner)} lines; if a quote is missing there, these are rows", line)
        return
    rows = [part.count(layout.delimiter) == between for part in inner[1:-1]]
    enough = SWALLOWED_BY_COMMAS if layout.delimiter == "," and between == 1 else SWALLOWED
    if len(rows) >= enough and all(rows):
        raise _UnsoundError(
            f"line {line}: one cell holds {len(rows)} lines, each with the {layout.delimiter!r} of a row; a quote "
            "there is not closed, or stands alone: double it, or take it out"
        )
    if cell.count(layout.delimiter) >= between * (len(inner) - 1):
        doubts.add(
            f"a cell holds line ends and as many {layout.delimiter!r} as rows; if a quote is missing there, it "
            "swallowed rows",
            line,
        )


def _unwrapped(cell: str, line: int, *, alone: bool) -> str:
    """A cell of a file whose quotes are letters, without the two that stand around it all the same."""
    inside = cell[1:-1].replace('""', "")
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inside:
        return cell[1:-1].replace('""', '"')
    # Without a delimiter nothing tells a row from a part of a quoted cell of several lines.
    if alone and cell.count('"') % 2:
        raise _UnsoundError(f"line {line}: a quote is not closed; double the quotes inside cells")
    return cell


def listed(names: Iterable[str]) -> str:
    """Columns as an error lists them."""
    shown = [repr(name_of(name)[:60]) for name in names]
    return ", ".join(shown[:30]) + (f" and {len(shown) - 30} more" if len(shown) > 30 else "")
