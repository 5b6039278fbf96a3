"""What in a file tells when it was written, or how long that took."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

# Names of fields and columns; a word of it alone, so that `second_opinion` and `update` are none.
TIMED = re.compile(
    r"(?<![a-z])(seconds?|secs?|ms|milliseconds?|minutes|hours|runtime|elapsed|duration|took|timestamp|time|date|began"
    r"|started|finished|created(_at)?|[a-z]+_per_second|[a-z]+_a_second)(?![a-z])",
    re.IGNORECASE,
)
SECOND_OPINION = re.compile(r"second[ _]opinion", re.IGNORECASE)
# What writers of pictures add by themselves.
METADATA = (b"/CreationDate", b"/ModDate", b"tIME", b"date:create", b"Creation Time")
# The first date that a ZIP archive can tell: the one that who wants none writes.
NO_DATE = (1980, 1, 1, 0, 0, 0)
DAY = 86_400


def times_in(path: Path) -> set[str]:
    """Fields named after time, dates of today or yesterday in any spelling, moments of the last day."""
    found = {name for name in names_in(path) if TIMED.search(SECOND_OPINION.sub("", name))}
    content = path.read_bytes()
    found |= {mark.decode() for mark in METADATA if path.suffix in (".pdf", ".png") and mark in content}
    found |= {text for text in dates() if text.encode() in content}
    found |= moments_in(content)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            found |= {
                f"{entry.filename}: {entry.date_time}" for entry in archive.infolist() if entry.date_time != NO_DATE
            }
    return found


def dates() -> Iterator[str]:
    """Yesterday and today as files spell them."""
    for day in (date.today() - timedelta(days=1), date.today()):
        for form in ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d %b %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y"):
            yield day.strftime(form)


def moments_in(content: bytes) -> set[str]:
    """Numbers that are a moment of the last day in seconds or milliseconds since 1970."""
    found = re.findall(rb"(?<![\d.])(1\d{9})(?:\d{3})?(?!\d)", content)
    return {number.decode() for number in found if 0 <= time.time() - int(number) < DAY}


def names_in(path: Path) -> Iterator[str]:
    """The names of a file's fields or columns."""
    if path.suffix == ".json":
        yield from keys_in(json.loads(path.read_text(encoding="utf-8")))
    elif path.suffix in (".csv", ".tsv"):
        with path.open(encoding="utf-8") as file:
            yield from re.split(r"[,\t]", file.readline().strip())
    elif path.suffix == ".parquet":
        yield from pq.read_schema(path).names


def keys_in(value: Any) -> Iterator[str]:
    """The keys of all mappings in a JSON value."""
    if isinstance(value, dict):
        yield from value
        for part in value.values():
            yield from keys_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from keys_in(part)
