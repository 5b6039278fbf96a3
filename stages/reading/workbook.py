"""Workbooks of Excel and LibreOffice."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, load_workbook

from stages.reading.delimited import listed
from stages.reading.rows import HEADER_WITHIN, Row, Rows, header_in, names_of
from stages.running.errors import DataError

logger = logging.getLogger(__name__)

# A workbook unpacks to some ten times its size, and is held as a whole.
MOST_BYTES = 2**31


def workbook_rows(path: Path, column: str, limit: int | None) -> Rows:
    """The rows of the first sheet that has `column`; numbers and dates are written as a spreadsheet shows them.

    Raises:
        DataError: it is damaged, too large (`limit` bytes unpacked), or no sheet has such a column.
    """
    _require_size(path, min(limit or MOST_BYTES, MOST_BYTES))
    try:
        workbook = load_workbook(str(path))
        sheets = {
            name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in workbook.sheet_names
        }
    except (CalamineError, OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable workbook: {error}; save it anew, or as CSV in UTF-8") from error
    for name, cells in sheets.items():
        firsts = [list(map(_text, row)) for row in cells[:HEADER_WITHIN]]
        index = header_in(firsts, column)
        if index is None:
            continue
        if len(sheets) > 1 or index:
            logger.info("%s: the sheet %r is read, its header is row %d", path, name, index + 1)
        names = names_of(firsts[index])

        def read(index: int = index, names: list[str] = names, cells: list[list[Any]] = cells) -> Iterator[Row]:
            for number, row in enumerate(cells[index + 1 :], start=index + 2):
                texts = [_text(cell) for cell in row[: len(names)]]
                if any(texts):
                    yield number, texts

        return Rows(names, read)
    first = next((row for cells in sheets.values() for row in cells if any(row)), [])
    raise DataError(
        f"{path} has no column {column!r}; it has {listed(map(_text, first))}. Name the one with the reviews"
    )


def _require_size(path: Path, limit: int) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > limit:
            raise DataError(f"{path} unpacks to {size / 2**20:.0f} MiB, too much for a workbook; save it as CSV")


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell)
