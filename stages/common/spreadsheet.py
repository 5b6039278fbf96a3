"""Make a table safe to open in a spreadsheet program."""

from __future__ import annotations

import re

import pandas as pd

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escape_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy whose text cells never start a formula: an apostrophe precedes a leading = + - @ TAB CR.

    Reviews come from strangers; opened in Excel, `=HYPERLINK(…)` would run (OWASP, "CSV Injection").
    """
    return frame.map(lambda cell: f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell)


def unescape_formulas(texts: pd.Series) -> pd.Series:
    """Cells of text without the apostrophes that `escape_formulas` put before them."""
    starts = re.escape("".join(FORMULA_STARTS))
    return texts.astype(str).str.replace(f"^'(?=[{starts}])", "", regex=True)
