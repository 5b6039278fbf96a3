"""What changed from one run to another: plain lists and dictionaries, in the order to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from stages.common.arrays import label_indices
from stages.comparing.side import Side
from stages.listing.reviews import each, listing
from stages.scoring.config import Evaluate
from stages.scoring.gain import MACRO_F1
from stages.scoring.paired import Paired, paired

Figures = dict[str, Any]
# Rows of a list; a page of all that changed in a million reviews opens nowhere.
MOST_ROWS = 2000
MOST_MOVES = 20
SCORES = ("weighted_f1", "macro_f1", "accuracy", "ece")


def settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Figures]:
    """The settings that differ, by their full keys; None where there is none."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return [
        {"key": key, "before": _shown(old, key), "after": _shown(new, key)}
        for key in dict.fromkeys([*new, *old])
        if key not in old or key not in new or old[key] != new[key]
    ]


def _flat(given: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(given, Mapping) and given:
        for name, value in given.items():
            yield from _flat(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, given


def _shown(flat: Mapping[str, Any], key: str) -> str | None:
    if key not in flat:
        return None
    value = flat[key]
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def summary(before: Mapping[str, float], after: Mapping[str, float]) -> list[Figures]:
    """The dozen figures of `metrics/summary.json` that either run has."""
    return [_change(before.get(name), after.get(name)) | {"name": name} for name in dict.fromkeys([*after, *before])]


def scores(before: pd.DataFrame, after: pd.DataFrame) -> list[Figures]:
    """Everyone's scores on every part of every gold set, as of the later run, and how many `rows` they are of.

    What one run lacks is None.
    """
    keys = ["gold_set", "subset", "who"]
    both = after.merge(before, on=keys, how="outer", suffixes=("_after", "_before"), sort=False)
    # An outer merge sorts by the keys; the later run's order is the one that readers know.
    place = {key: number for number, key in enumerate(map(tuple, after[keys].to_numpy()))}
    rows = sorted(both.to_dict("records"), key=lambda row: place.get(tuple(row[key] for key in keys), len(place)))
    return [
        {key: row[key] for key in keys}
        | {"rows": _change(row["rows_before"], row["rows_after"])}
        | {"measures": {name: _change(row[f"{name}_before"], row[f"{name}_after"]) for name in SCORES}}
        for row in rows
    ]


def gains(before: pd.DataFrame | None, after: pd.DataFrame | None) -> list[Figures]:
    """What each kind of rows adds in macro F1, with each run's own paired interval."""
    if before is None or after is None:
        return []
    keys = ["gold_set", "student", "over"]
    of_all = [table[table["measure"] == MACRO_F1] for table in (after, before)]
    both = of_all[0].merge(of_all[1], on=keys, suffixes=("_after", "_before"))
    ends = ("difference", "low", "high")
    return [
        {key: row[key] for key in keys}
        | {side: {end: _number(row[f"{end}_{side}"]) for end in ends} for side in ("before", "after")}
        for row in both.to_dict("records")
    ]


def train_rows(before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]) -> list[Figures]:
    """Training rows by provenance."""
    return [
        _change(sum(before.get(kind, {}).values()), sum(after.get(kind, {}).values())) | {"name": kind}
        for kind in dict.fromkeys([*after, *before])
    ]


def labels(before: pd.DataFrame, after: pd.DataFrame) -> Figures:
    """Labels that became others: how many of how many, `moves` by how frequent they are, and the `list`."""
    columns = ["id", "text", "label", "confidence", "split"]
    both = before[columns].merge(after[columns], on="id", suffixes=("", "_after"))
    changed = both[both["label"] != both["label_after"]]
    moves = Counter(zip(changed["label"], changed["label_after"], strict=True))
    first = changed.sort_values(["confidence_after", "id"], ascending=[False, True]).head(MOST_ROWS)
    return {
        "both": len(both),
        "changed": len(changed),
        "kinds": len(moves),
        "moves": [{"before": old, "after": new, "rows": rows} for (old, new), rows in moves.most_common(MOST_MOVES)],
        "list": listing(
            first,
            {"before": each(first["label"]), "now": each(first["label_after"]), "split": each(first["split_after"])},
            {"before": ("label", "confidence"), "now": ("label_after", "confidence_after")},
            first["split_after"],
        ),
    }


def predictions(before: pd.DataFrame, after: pd.DataFrame, evaluate: Evaluate, seed: int) -> Figures:
    """The student's answers to the checked reviews of both runs: each gold set `paired`, and a `list` of the changed.

    Rows whose checked label is not the same in both, or that nobody checked, are `unpaired`: nobody can say which of
    the answers to them are right.
    """
    columns = ["gold_set", "id", "text", "actual", "predicted", "confidence"]
    both = before[columns].merge(after[columns], on=["gold_set", "id"], suffixes=("_before", ""))
    same = (both["actual"] == both["actual_before"]) & (both["actual"] != "")
    changed = both.assign(what=_became(both, same))
    changed = changed[changed["predicted"] != changed["predicted_before"]]
    first = changed.sort_values(["confidence", "id"], ascending=[False, True], kind="stable").head(MOST_ROWS)
    return {
        "both": len(both),
        "changed": len(changed),
        "unpaired": int((~same).sum()),
        "sets": [
            {"name": name, "paired": _paired(rows, evaluate, seed)}
            for name, rows in both[same].groupby("gold_set", sort=False)
        ],
        "list": listing(
            first,
            {"what": each(first["what"]), "actual": each(first["actual"]), "set": each(first["gold_set"])},
            {
                "actual": ("actual", None),
                "before": ("predicted_before", "confidence_before"),
                "now": ("predicted", "confidence"),
            },
            first["what"] + ", " + first["gold_set"],
        ),
    }


def _became(both: pd.DataFrame, same: pd.Series) -> pd.Series:
    what = pd.Series("wrong in another way", index=both.index)
    what[both["predicted"] == both["actual"]] = "now right"
    what[both["predicted_before"] == both["actual"]] = "now wrong"
    what[~same] = "nobody knows"
    return what


def _paired(rows: pd.DataFrame, evaluate: Evaluate, seed: int) -> Paired:
    # The categories themselves may differ from run to run.
    names = sorted({*rows["actual"], *rows["predicted"], *rows["predicted_before"]} - {""})
    actual, old, new = (label_indices(rows[name], names) for name in ("actual", "predicted_before", "predicted"))
    return paired(actual, old, new, len(names), evaluate.bootstrap, evaluate.coverage, seed)


def answers(before: pd.DataFrame, after: pd.DataFrame) -> Figures:
    """What people said: how many answers are new, withdrawn, or changed, and the `list` of these."""
    columns = ["id", "text", "label"]
    both = before[columns].merge(after[columns], on="id", how="outer", suffixes=("_before", "_after"))
    both = both.fillna("")
    old, new = both["label_before"], both["label_after"]
    both["what"] = pd.Series("changed", index=both.index).mask(old == "", "new").mask(new == "", "withdrawn")
    changed = both[old != new]
    first = changed.assign(text=changed["text_after"].where(changed["text_after"] != "", changed["text_before"]))
    first = first.head(MOST_ROWS)
    return {
        "changed": len(changed),
        "counts": {what: int((changed["what"] == what).sum()) for what in ("new", "changed", "withdrawn")},
        "list": listing(
            first,
            {"what": each(first["what"]), "category": each(new[first.index].where(new != "", old[first.index]))},
            {"before": ("label_before", None), "now": ("label_after", None)},
            first["what"],
        ),
    }


def changes(before: Side, after: Side, evaluate: Evaluate, seed: int) -> Figures:
    """All of it; None for what one of the runs lacks."""
    pairs = {
        "labels": (before.labels, after.labels),
        "predictions": (before.predictions, after.predictions),
        "answers": (before.answers, after.answers),
    }
    made: dict[str, Any] = {"labels": labels, "answers": answers}
    made["predictions"] = lambda old, new: predictions(old, new, evaluate, seed)
    return {
        "settings": settings(before.settings, after.settings),
        "summary": summary(before.summary, after.summary),
        "scores": scores(before.scores, after.scores),
        "gains": gains(before.gains, after.gains),
        "rows": train_rows(before.rows, after.rows) if before.rows and after.rows else [],
        **{name: None if old is None or new is None else made[name](old, new) for name, (old, new) in pairs.items()},
    }


def _change(before: Any, after: Any) -> Figures:
    old, new = _number(before), _number(after)
    return {"before": old, "after": new, "difference": None if old is None or new is None else new - old}


def _number(value: Any) -> float | None:
    """`value`, None where there is none: templates know of no nan."""
    return None if value is None or pd.isna(value) else float(value)
