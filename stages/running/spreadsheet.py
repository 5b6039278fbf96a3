"""Keep a spreadsheet program from running a text as a formula.

Texts come from strangers; opened in Excel, `=HYPERLINK(…)` would run (OWASP, "CSV Injection"). An apostrophe before its
sign makes it a text again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import pandas as pd

# What may stand before a formula and does not keep it from running: blanks, characters without width, quotes.
_SKIPPED = r"\s\"\ufeff\u200b"
# Where a program cuts a cell that expects another delimiter, and so does not see the quotes around the cell.
_CUTS = r";,\t\r\n"
# As ASCII, and as wide as a Chinese character, which Excel reads as the same.
_EQUALS, _SIGNS = "=＝", r"+\-@＋－＠"
# A function (a remark in brackets after a Russian word is none), a program (DDE), another sheet. -15, +7 900 000-11-22
# and @name have none of them: a sign runs nothing by itself.
_CALL = re.compile(r"[^\W\d]\d*(?:\(|\s+\((?!\s*[а-яё]))|\||![\w$]", re.IGNORECASE)


def defused(text: str) -> str:
    """`text` as it is, unless it could run: then with an apostrophe before each formula, inside of it too."""
    return _formulas(_SKIPPED, _signs(text)).sub(r"\1'", text)


def escape_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy with names and cells of text `defused`, from which `unescape_formulas` makes what they were."""
    # For that an apostrophe of the text's own gets a second one.
    return _mapped(frame, lambda text: _formulas(_SKIPPED + "'", _signs(text)).sub(r"\1'", text))


def unescape_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy without the apostrophes of `escape_formulas`."""
    return _mapped(frame, lambda text: _escaped(_signs(text)).sub(r"\1", text))


def _mapped(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    def of_cell(cell: object) -> object:
        return change(cell) if isinstance(cell, str) else cell

    return frame.map(of_cell).rename(columns=of_cell)


def _signs(text: str) -> str:
    return _EQUALS + _SIGNS if _CALL.search(text) else _EQUALS


@cache
def _formulas(skipped: str, signs: str) -> re.Pattern[str]:
    """Matches what an apostrophe has to follow: the start of a cell; a cut and what is skipped up to the sign."""
    return re.compile(rf"(\A(?=[{skipped}]*[{signs}])|[{_CUTS}](?:(?![{_CUTS}])[{skipped}])*(?=[{signs}]))")


@cache
def _escaped(signs: str) -> re.Pattern[str]:
    """Matches what `_formulas` does and the apostrophe."""
    skipped = _SKIPPED + "'"
    return re.compile(rf"(\A(?='[{skipped}]*[{signs}])|[{_CUTS}](?:(?![{_CUTS}])[{skipped}])*(?='[{signs}]))'")
