"""The front of speed and quality, as `python -m benchmarks.front` measured it: a table and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil, floor, log10
from typing import Any

# Of the sample, and balanced: macro F1. Rows of other shops get weighted F1.
SAMPLE = ("gold", "checked")


@dataclass(frozen=True)
class Kind:
    """What makes a student of the front the one in use: its encoder, and what was done to it."""

    encoder: str
    distilled: bool
    fine_tuned: bool


def front(measured: Mapping[str, Any], in_use: Kind, form: str) -> dict[str, Any]:
    """What a page shows of the record: `parts` of rows, `rows` of the table, `picture`, `conditions`; or nothing.

    The first of the parts is drawn: F1 upwards, 0…100 from the top; milliseconds across, 0…100 by their logarithm.

    Args:
        measured: the record, `results` being `benchmarks.front.Result` as mappings.
        in_use: the student of the run, which is marked where the front has its like.
        form: `fp32` or `int8`, what it is used in.

    Raises:
        KeyError, TypeError: it is no such record.
    """
    results = measured["results"]
    if not results:
        return {}
    parts = list(results[0]["scores"])
    rows = [
        {
            **{key: result[key] for key in ("student", "format", "mib")},
            "ms": result["ms"],
            "scores": [dict(zip(("value", "low", "high"), result["scores"][part], strict=True)) for part in parts],
            "in_use": result["kind"] == asdict(in_use) and result["format"] == form,
        }
        for result in results
    ]
    times = [log10(row["ms"]["median"]) for row in rows]
    first, last = floor(min(times)), max(ceil(max(times)), floor(min(times)) + 1)
    for row, time in zip(rows, times, strict=True):
        row["x"] = 100 * (time - first) / (last - first)
    return {
        "parts": [{"name": part, "measure": "macro F1" if part in SAMPLE else "weighted F1"} for part in parts],
        "rows": rows,
        "students": {row["student"]: [of for of in rows if of["student"] == row["student"]] for row in rows},
        "ticks": [
            {"x": 100 * (exponent - first) / (last - first), "ms": f"{10.0**exponent:g}"}
            for exponent in range(first, last + 1)
        ],
        "conditions": measured["conditions"],
    }
