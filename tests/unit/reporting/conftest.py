"""A small finished run, with synthetic steps and with reviews that try to be mark-up."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from stages.analysis.pictures import STEP_NAMES, write_points
from stages.common.config import Params
from stages.common.io import write_json, write_table
from stages.common.spreadsheet import escape_formulas
from stages.reporting.run import Run, read_run

ATTACK = "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\"> & =1+1"
RARE = ["обувь", "посуда"]


def f1_scores(value: float) -> dict[str, float | int]:
    """Scores of one classifier on one part."""
    scores: dict[str, float | int] = {"rows": 4, "accuracy": value, "ece": 0.1}
    for name in ("weighted_f1", "macro_f1"):
        scores |= {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}
    return scores


@pytest.fixture
def folder(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a run whose teacher named three classes; `style` is the final student."""
    monkeypatch.chdir(tmp_path)
    names = params.labels.names
    counts = {
        "real": {"одежда": 8, "нет товара": 5, "обувь": 1},
        "written": {"обувь": 10, "посуда": 10},
        "base": {"обувь": 2},
        "style": {"обувь": 1, "посуда": 3},
    }
    metrics = {
        "ingest": {"rows_out": 14, "duplicates": 1, "quarantined": 2, "calibration": 0},
        "label": {"label_coverage": 1.0, "mean_confidence": 0.8},
        "dataset": {"train": counts},
        "evaluate": {
            "main": {
                "teacher": {"all": f1_scores(0.5)},
                "real": {"all": f1_scores(0.3)},
                "style": {"all": f1_scores(0.4)},
            },
            "other": {"style": {"all": f1_scores(0.2), "clear": f1_scores(0.25)}},
        },
        "per_class": {
            "main": {
                who: {name: {"precision": 0.5, "recall": 0.5, "f1": f1, "support": 2} for name in names[:3]}
                for who, f1 in (("teacher", 0.5), ("real", 0.0), ("style", 0.25))
            }
        },
        "synthetic_gain": {
            "main": {
                "macro_f1_over_real": {"style": {"difference": 0.1, "low": -0.02, "high": 0.2}},
                "final_f1_over_real": {names[0]: {"difference": 0.25, "low": 0.1, "high": 0.4}},
            }
        },
        "benchmark": {
            "single": {"calls": 5, "mean_ms": 30.0, "p50_ms": 29.0, "p95_ms": 41.0, "max_ms": 60.0},
            "batched": {"texts": 8, "batch_size": 4, "texts_per_second": 50.0},
            "limit_seconds": 5.0,
            "within_limit": True,
            "hardware": {"cpu": "a processor", "gpu": None, "threads": 2, "torch": "2"},
        },
        "generate_base": {
            "candidates": {"accepted": 2, "script": 6, "length": 0},
            "accepted_share": 0.25,
            "shortfall": {"обувь": 1},
            "measures": {"distinct_2": {"synthetic": None, "real": 0.9}},
        },
        # A step that had nothing to ask for.
        "generate_paraphrase": {
            "candidates": {"accepted": 0, "script": 0},
            "accepted_share": None,
            "shortfall": {"обувь": 2},
            "measures": {"distinct_2": {"synthetic": None, "real": 0.9}},
        },
    }
    for name, content in metrics.items():
        write_json(tmp_path / f"metrics/{name}.json", content)
    plan = pd.DataFrame({"label": names, "rare": [name not in ("одежда", "нет товара") for name in names]})
    write_table(tmp_path / "data/analyse/plan.csv", plan)
    rows = [
        (label, step)
        for step, labels in counts.items()
        if step in STEP_NAMES
        for label, count in labels.items()
        for _ in range(count)
    ]
    points = pd.DataFrame(rows, columns=["label", "provenance"]).assign(text=ATTACK, confidence=0.5)
    points["step"] = points["provenance"].map(STEP_NAMES)
    points[["x", "y"]] = [[index % 5, index // 5] for index in range(len(points))]
    write_points(tmp_path / "metrics/pictures/points.csv", points)
    predictions = pd.DataFrame(
        [
            ("main", "a", ATTACK, "обувь", "одежда", 0.9, "одежда"),
            ("main", "b", "=туфли", "обувь", "одежда", 0.8, "обувь"),
            ("main", "c", "туфли", "обувь", "одежда", 0.7, "посуда"),
            ("main", "d", "кофта", "одежда", "одежда", 0.95, "одежда"),
            ("other", "a", ATTACK, "обувь", "одежда", 0.9, "одежда"),
        ],
        columns=["gold_set", "id", "text", "actual", "predicted", "confidence", "teacher"],
    )
    write_table(tmp_path / "data/evaluate/predictions.csv", escape_formulas(predictions))
    (tmp_path / "data/dataset").mkdir()
    (tmp_path / "data/dataset/README.md").write_text("# Training set\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(folder: Path, params: Params) -> Run:
    """That run, read from its files."""
    return read_run(params)


@pytest.fixture
def unchecked(run: Run) -> Run:
    """The least that a run leaves: no checked reviews, no synthetic rows, no benchmark."""
    agreement = {"rows": 4, "agreement": 0.5, "agreement_low": 0.2, "agreement_high": 0.8}
    metrics = {
        "ingest": run.metrics["ingest"],
        "label": run.metrics["label"],
        "dataset": {"train": {"real": {"одежда": 8}}},
        "evaluate": {"agreement_with_teacher": {"style": agreement}},
        "per_class": {},
    }
    predictions = run.predictions.head(4).assign(gold_set="agreement_with_teacher", actual="")
    return dataclasses.replace(
        run, metrics=metrics, predictions=predictions, points=pd.DataFrame(), plan=pd.DataFrame(), commit=""
    )
