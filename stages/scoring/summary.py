"""The figures that a reviewer looks at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stages.common.gold import PEOPLE
from stages.common.provenances import REAL
from stages.scoring.agreement import AGREEMENT
from stages.scoring.gain import MACRO_F1


def summary(
    scores: pd.DataFrame,
    gains: pd.DataFrame,
    student: str,
    changed_share: float,
    accepted_shares: Mapping[str, float | None],
    latency: Mapping[str, Any],
    answers: Mapping[str, int],
) -> dict[str, float | None]:
    """Some ten flat figures of the `student` in use, on the first gold set; shares 0…1, `_low` and `_high` intervals.

    Args:
        scores: table of `scores.Score`. gains: table of `gain.Gain`.
        student: the one in use.
        changed_share: how many of the teacher's labels the second opinion changed.
        accepted_shares: what part of its candidates each step of the synthesis kept.
        latency: a `latency.timing.Latency`, as a mapping.
        answers: how many people gave, and what became of them (`correcting.matching.Matched.counts`); where there are
            none, no figure is about them.
    """
    first = scores.iloc[0]["gold_set"]
    of_first = scores[(scores["gold_set"] == first) & (scores["subset"] == "all")]
    score = of_first[of_first["who"] == student].iloc[0]
    measures = ("accuracy",) if first == AGREEMENT else ("weighted_f1", "macro_f1")
    found: dict[str, float | None] = {}
    for measure in measures:
        name = "agreement" if first == AGREEMENT else measure
        found |= {name + end: score[measure + end] for end in ("", "_low", "_high")}
    if first != AGREEMENT:
        found["calibration_error"] = score["ece"]
        of_student = gains[(gains["gold_set"] == first) & (gains["student"] == student)]
        over_real = of_student[(of_student["over"] == REAL) & (of_student["measure"] == MACRO_F1)]
        found["macro_f1_gain_over_real_rows"] = over_real["difference"].iloc[0]
    kept = [share for share in accepted_shares.values() if share is not None]
    found |= {
        "labels_changed_share": changed_share,
        "synthetic_accepted_share": round(float(np.mean(kept)), 4) if kept else None,
        "milliseconds_a_review": latency["single"]["p50_ms"],
        "reviews_a_second": latency["batched"]["texts_per_second"],
    }
    if answers["answers"]:
        found |= {"answers_learnt": answers["learnt"], "answers_scored": answers["scored"]}
        of_people = scores[(scores["gold_set"] == PEOPLE) & (scores["subset"] == "all") & (scores["who"] == student)]
        for score in of_people.to_dict("records") if first != PEOPLE else []:
            found |= {f"macro_f1_{PEOPLE}{end}": score[f"macro_f1{end}"] for end in ("", "_low", "_high")}
    return {name: None if value is None or np.isnan(value) else float(value) for name, value in found.items()}
