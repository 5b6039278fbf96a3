"""JSON lines: an object a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from stages.reading.encoding import path_lines
from stages.reading.rows import Row, Rows
from stages.running.errors import DataError


def json_rows(path: Path, encoding: str, blocks: Callable[[], Iterable[bytes]]) -> Rows:
    """The rows of `path`: its columns are all keys that occur; what is no text is written as JSON has it.

    Raises:
        DataError: a line is no object.
    """

    def objects() -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in enumerate(path_lines(path, encoding, blocks()), start=1):
            if line.strip():
                yield number, _object(line, f"{path}, line {number}")

    names = list(dict.fromkeys(name for _, row in objects() for name in row))

    def read() -> Iterator[Row]:
        for number, row in objects():
            yield number, [_cell(row.get(name)) for name in names]

    return Rows(names, read)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error}); each line must be an object") from error
    if not isinstance(row, dict):
        raise DataError(f'{where}: {line.strip()[:60]!r} is no object; write {{"text": "…"}}')
    return row


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # JSON can spell half a character, which no file can hold.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
