"""What one student said of every row, its errors, and all scores as a text to read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stages.scoring.evaluation import Evaluation


def predictions(evaluation: Evaluation, who: str) -> pd.DataFrame:
    """One line a row: gold_set, id, text, actual, predicted, confidence, teacher."""
    names = np.array([*evaluation.label_names, ""])
    given, teacher = evaluation.answers[who], evaluation.answers.get("teacher")
    return pd.DataFrame(
        {
            "gold_set": evaluation.rows["gold_set"].to_numpy(),
            "id": evaluation.rows["id"].to_numpy(),
            "text": evaluation.rows["text"].to_numpy(),
            "actual": evaluation.rows["label"].to_numpy(),
            "predicted": names[given.predicted],
            "confidence": given.probabilities.max(axis=1).round(4),
            "teacher": names[teacher.predicted] if teacher else "",
        }
    )


def errors(predicted: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The wrong ones of `predictions`, the most confident first, with how often the same confusion occurs.

    `rows` are the evaluation's, of which stratum and flag are added. Columns: gold_set, stratum, flag, actual,
    predicted, times, confidence, teacher, text.
    """
    table = predicted.assign(stratum=rows["stratum"].to_numpy(), flag=rows["flag"].to_numpy())
    wrong = table[table["actual"] != table["predicted"]]
    times = wrong.groupby(["gold_set", "actual", "predicted"])["id"].transform("size")
    columns = ["gold_set", "stratum", "flag", "actual", "predicted", "times", "confidence", "teacher", "text"]
    return wrong.assign(times=times).sort_values("confidence", ascending=False)[columns]


def as_text(scores: pd.DataFrame, classes: pd.DataFrame) -> str:
    """A report for people out of the tables of `scores.scores` and `scores.class_scores`."""
    blocks = []
    for (gold_set, who), parts in scores.groupby(["gold_set", "who"], sort=False):
        of_class = classes[(classes["gold_set"] == gold_set) & (classes["who"] == who)]
        tables = [of_class.drop(columns=["gold_set", "who"])] if len(of_class) else []
        tables.append(parts.drop(columns=["gold_set", "who"]).dropna(axis=1, how="all"))
        blocks.append(
            "\n\n".join([f"{gold_set} · {who}", *(table.to_string(index=False, na_rep="–") for table in tables)])
        )
    return "\n\n\n".join(blocks) + "\n"
