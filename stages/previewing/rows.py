"""What became of each review and each candidate, as rows for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.common.arrays import FloatArray

Row = dict[str, Any]


def review_rows(
    curated: pd.DataFrame, unanswered: pd.DataFrame, opinion: FloatArray | None, names: Sequence[str]
) -> list[Row]:
    """A row for each review: text, teacher, confidence, why, opinion, curated, changed.

    `curated` is as stage `curate` leaves it; `opinion` (reviews, labels) the second opinion's distributions, None where
    there is none. Reviews that the teacher gave no category (`unanswered`: text, failure) come last, without any.
    """
    second = [""] * len(curated) if opinion is None else [names[best] for best in opinion.argmax(axis=1)]
    rows = [
        {
            "text": review["text"],
            "teacher": review["teacher_label"],
            "confidence": float(review["teacher_confidence"]),
            "why": " ".join(filter(None, (review["reasoning"], review["explanation"]))),
            "opinion": said,
            "curated": review["label"],
            "changed": review["label"] != review["teacher_label"],
        }
        for review, said in zip(curated.to_dict("records"), second, strict=True)
    ]
    nothing = {"teacher": "", "confidence": np.nan, "opinion": "", "curated": "", "changed": False}
    failed = zip(unanswered["text"], unanswered["failure"], strict=True)
    return rows + [{"text": text, "why": f"no category: {failure}", **nothing} for text, failure in failed]


def written_rows(candidates: pd.DataFrame) -> list[Row]:
    """A row for each candidate, by category, in the order of steps: intended, step, text, facts, reason, read_as.

    `candidates` are those of all steps, as stage `generate` leaves them; an accepted one has no reason.
    """
    ordered = candidates.sort_values("intended", kind="stable")
    return [
        {
            "intended": row["intended"],
            "step": row["provenance"],
            "text": row["text"],
            "facts": ", ".join(f"{name}: {value}" for name, value in json.loads(row["attributes"]).items() if value),
            "reason": row["reason"].replace("_", " "),
            "read_as": row["read_as"] if row["reason"] == "another_category" else "",
        }
        for row in ordered.to_dict("records")
    ]


def written_counts(candidates: pd.DataFrame, steps: Sequence[str]) -> list[Row]:
    """For each intended category: by step, accepted of candidates; and why the others were thrown out."""
    rows = []
    for label, of_label in candidates.groupby("intended", sort=True):
        groups = dict(tuple(of_label.groupby("provenance")))
        counts = {
            step: f"{(groups[step]['reason'] == '').sum()} of {len(groups[step])}" if step in groups else "0 of 0"
            for step in steps
        }
        reasons = of_label.loc[of_label["reason"] != "", "reason"].value_counts()
        why = ", ".join(f"{str(reason).replace('_', ' ')} {count}" for reason, count in reasons.items())
        rows.append({"category": label, **counts, "thrown out": why})
    return rows
