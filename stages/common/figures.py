"""Tables of figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from stages.running.io import TEXTS
from stages.running.spreadsheet import unescape_formulas


def read_figures(path: Path) -> pd.DataFrame:
    """Read a CSV of names and numbers that `write_table` wrote: an empty cell is nan, and a name may be NA."""
    return unescape_formulas(pd.read_csv(path, dtype=TEXTS, keep_default_na=False, na_values=[""]))
