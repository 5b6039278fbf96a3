"""No text may stand on both sides of a measurement."""

from __future__ import annotations

import pandas as pd

from stages.common.texts import letters
from stages.running.errors import DataError


def unlike(written: pd.DataFrame, held_out: pd.Series) -> pd.DataFrame:
    """Those of `written` whose text is none of `held_out`, compared as by `check_leaks`.

    A product's bare name may be all that a customer has written.
    """
    return written[~written["text"].map(letters).isin(set(held_out.map(letters)))]


def check_leaks(rows: pd.DataFrame, checked: pd.DataFrame) -> None:
    """Fail if a text stands in two splits or among the checked ones, compared by letters and digits alone.

    Raises:
        DataError: naming the first offending text.
    """
    keys = rows["text"].map(letters)
    splits = rows.assign(key=keys).groupby("key")["split"].nunique()
    twice = splits[splits > 1]
    if len(twice):
        text = rows.loc[keys == twice.index[0], "text"].iloc[0]
        raise DataError(f"leak: {len(twice)} texts stand in more than one split, first {text[:80]!r}")
    shared = rows[keys.isin(set(checked["text"].map(letters)))]
    if len(shared):
        first = shared["text"].iloc[0][:80]
        raise DataError(f"leak: {len(shared)} rows stand in a checked file too, first {first!r}; take them out of one")
