"""The page of doubtful reviews: what stage `doubt` left, as figures and a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from stages.listing.reviews import each, listing

# Whom the list names beside the label, and the columns of what they say.
WHO = ("teacher", "second opinion", "student")


def doubtful(rows: pd.DataFrame, counts: Mapping[str, int]) -> dict[str, Any]:
    """What the page shows: `counts` (a `measures.doubt.Counts`), rows by `reasons`, and the `list`.

    `rows` have the columns of `data/doubt/reviews.parquet`, the most doubtful first.
    """
    reasons = Counter(reason for of_row in rows["reasons"] for reason in of_row)
    notes = [
        f"doubt {doubt:.2f}, {split}: {', '.join(named(reason) for reason in reasons)}"
        for doubt, split, reasons in zip(rows["doubt"], rows["split"], rows["reasons"], strict=True)
    ]
    facets = {
        "category": each(rows["label"]),
        "split": each(rows["split"]),
        "reason": [list(map(named, of_row)) for of_row in rows["reasons"]],
    }
    facts: dict[str, tuple[str, str | None]] = {"label": ("label", "confidence")}
    facts |= {who: (who, f"{who} confidence") for who in WHO}
    return {
        "counts": dict(counts),
        "reasons": {named(reason): count for reason, count in reasons.most_common()},
        "list": listing(rows, facets, facts, notes),
    }


def named(reason: str) -> str:
    """Words for a reason of `measures.doubt.reasons`."""
    return f"the {reason} says another" if reason in WHO else reason
