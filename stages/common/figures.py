"""Tables of figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def read_figures(path: Path) -> pd.DataFrame:
    """Read a CSV of names and numbers that `write_table` wrote: an empty cell is nan, and a name may be NA."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])
