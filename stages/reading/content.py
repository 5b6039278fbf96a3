"""What a file is by its first bytes, whatever its ending says, and its content block by block."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from stages.running.errors import DataError

# Bytes read at a time.
BLOCK = 2**20


class Kind(Enum):
    """What kind of table a file holds."""

    PARQUET = "Parquet"
    WORKBOOK = "a workbook"
    JSON_LINES = "JSON lines"
    DELIMITED = "delimited text"


_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
# Excel's older format.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = {b"%PDF": "a PDF", b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7-Zip archive", b"BZh": "a bzip2 archive"}
# Members of a zip archive by which a workbook is known: Excel's and LibreOffice's.
_WORKBOOK_MEMBERS = ("xl/", "content.xml")


def kind_of(path: Path) -> Kind:
    """What `path` holds.

    Raises:
        DataError: nothing that could be read as a table.
    """
    with path.open("rb") as opened:
        start = opened.read(16)
    if start.startswith(b"PAR1"):
        return Kind.PARQUET
    if start.startswith(_ZIP):
        return _kind_of_zip(path)
    if start.startswith(_OLE):
        return Kind.WORKBOOK
    for magic, name in _OTHERS.items():
        if start.startswith(magic):
            raise DataError(f"{path} is {name}, not a table; save its table as .csv in UTF-8")
    first = next(blocks(path), b"").removeprefix(b"\xef\xbb\xbf").lstrip()
    if first.startswith(b"{"):
        return Kind.JSON_LINES
    if first.startswith((b'[{"', b"[\n", b"[\r\n")):
        raise DataError(f"{path} is one JSON list; write an object a line instead (.jsonl)")
    return Kind.DELIMITED


def blocks(path: Path, limit: int | None = None) -> Iterator[bytes]:
    """The bytes of `path`, unpacked if it is gzip.

    Raises:
        DataError: it is gzip and damaged, or unpacks to more than `limit` bytes.
    """
    with path.open("rb") as opened:
        packed = opened.read(len(_GZIP)) == _GZIP
    read = 0
    try:
        with gzip.open(path) if packed else path.open("rb") as source:
            while block := source.read(BLOCK):
                read += len(block)
                if limit is not None and read > limit:
                    raise DataError(f"{path} unpacks to more than data.max_file_mib={limit // 2**20}")
                yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file: {error}; bring it here again") from error


def _kind_of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is a damaged workbook or archive: {error}; bring it here again") from error
    if any(name.startswith(_WORKBOOK_MEMBERS) for name in names):
        return Kind.WORKBOOK
    raise DataError(f"{path} is a zip archive of {', '.join(names[:3])}; unpack it and name the table in it")
