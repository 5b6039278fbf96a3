"""Records as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def as_table(records: Sequence[DataclassInstance], of: type[DataclassInstance]) -> pd.DataFrame:
    """A column for each field of the dataclass `of`, whose `records` become rows, rounded to four digits."""
    columns = [field.name for field in fields(of)]
    rows: list[dict[str, Any]] = [asdict(record) for record in records]
    return pd.DataFrame(rows, columns=columns).round(4)
