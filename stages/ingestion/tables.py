"""The tables of reviews that pass between stages: columns and checks.

Rows are identified by `id`, the first 16 hex digits of the SHA-256 of their cleaned text, so that a row keeps
its identity, its split and its cached answers when the file around it changes.
"""

from __future__ import annotations

import pandera.pandas as pa

from stages.common.splits import SPLITS

REVIEWS = pa.DataFrameSchema(
    {
        "id": pa.Column(str, unique=True),
        "row": pa.Column(int, pa.Check.ge(0)),
        "text": pa.Column(str, pa.Check.str_length(min_value=1)),
        "split": pa.Column(str, pa.Check.isin(SPLITS)),
    },
    strict=True,
)

GOLD = pa.DataFrameSchema(
    {
        "gold_set": pa.Column(str),
        "id": pa.Column(str),
        "row": pa.Column(int, pa.Check.ge(0)),
        "text": pa.Column(str, pa.Check.str_length(min_value=1)),
        "label": pa.Column(str),
        "stratum": pa.Column(str),
        "flag": pa.Column(str),
    },
    strict=True,
    unique=["gold_set", "id"],
)
