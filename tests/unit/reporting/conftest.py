"""A small finished run, with synthetic steps and with reviews that try to be mark-up."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from stages.composition.params import Params
from stages.drawing.pictures import STEP_NAMES, write_points
from stages.reporting.figures import figures
from stages.reporting.page import page
from stages.reporting.run import Run, read_run
from stages.running.io import write_json, write_table
from stages.scoring import gain
from stages.scoring.agreement import AGREEMENT
from stages.scoring.gain import MACRO_F1, Gain
from stages.scoring.records import as_table
from stages.scoring.scores import ClassScore, Score
from tests.conftest import ROOT

ATTACK = "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\"> & =1+1"
RARE = ["обувь", "посуда"]


def score(gold_set: str, who: str, value: float, subset: str = "all") -> Score:
    """The score of one classifier on one part."""
    return Score(gold_set, who, subset, 4, *(value, value - 0.1, value + 0.1) * 3, 0.1, 0.05)


SCORES = [
    score("main", "teacher", 0.5),
    score("main", "real", 0.3),
    score("main", "style", 0.4),
    score("other", "style", 0.2),
    score("other", "style", 0.25, "clear"),
]


# What stage `doubt` leaves, the most doubtful first.
DOUBTFUL = pd.DataFrame(
    {
        "id": ["x", "y", "z"],
        "text": [ATTACK, "ёлка", "кофта"],
        "split": ["train", "test", "train"],
        "label": ["обувь", "посуда", "одежда"],
        "confidence": [0.5, 0.6, 0.7],
        "teacher": ["одежда", "посуда", "одежда"],
        "teacher confidence": 0.9,
        "second opinion": ["обувь", "одежда", "одежда"],
        "second opinion confidence": 0.8,
        "student": ["одежда", "одежда", "одежда"],
        "student confidence": 0.75,
        "doubt": [0.8, 0.7, 0.2],
        "reasons": [["teacher", "student", "likely error"], ["second opinion", "student"], ["low confidence"]],
    }
)


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
    write_table(tmp_path / "metrics/scores.csv", as_table(SCORES, Score))
    by_class = [
        ClassScore("main", who, name, 0.5, 0.5, f1, 2)
        for who, f1 in (("teacher", 0.5), ("real", 0.0), ("style", 0.25))
        for name in names[:3]
    ]
    write_table(tmp_path / "data/evaluate/class_scores.csv", as_table(by_class, ClassScore))
    gains = [
        Gain("main", "style", "real", MACRO_F1, 0.1, -0.02, 0.2),
        Gain("main", "style", "paraphrase", MACRO_F1, 0.9, 0.8, 1.0),
        Gain("main", "style", "real", names[0], 0.25, 0.1, 0.4),
    ]
    write_table(tmp_path / "metrics/gain.csv", as_table(gains, gain.Gain))
    measured = {"distinct_2": {"synthetic": None, "real": 0.9}}
    files = {
        "ingest/counts": {"rows_out": 14, "duplicates": 1, "quarantined": 2, "calibration": 0},
        "measures/labels": {"coverage": 1.0, "mean_confidence": 0.8},
        "measures/rows": counts,
        "measures/answers": {"answers": 0, "learnt": 0, "temperature": 0, "scored": 0, "set_aside": 0},
        "latency/latency": {
            "single": {"calls": 5, "mean_ms": 30.0, "p50_ms": 29.0, "p95_ms": 41.0, "max_ms": 60.0},
            "batched": {"texts": 8, "batch_size": 4, "texts_per_second": 50.0},
            "limit_seconds": 5.0,
            "within_limit": True,
            "file": "model_quantized.onnx",
            "conditions": {"cpu": "a processor", "threads": 2, "onnxruntime": "1"},
        },
        "export/gate": {
            "file": "model_quantized.onnx",
            "rows": 12,
            "checked": True,
            "macro_f1": 0.81,
            "macro_f1_int8": 0.8,
            "max_difference": 0.1,
            "max_difference_fp32": 1e-6,
            "max_f1_drop": 0.02,
            "passed": True,
        },
        "measures/base": {
            "candidates": {"accepted": 2, "script": 6, "length": 0},
            "accepted_share": 0.25,
            "shortfall": {"обувь": 1},
            "measures": measured,
        },
        # Steps that had nothing to ask for, one of them for want of sources.
        **{
            f"measures/{step}": {
                "candidates": {"accepted": 0, "script": 0},
                "accepted_share": None,
                "shortfall": {"обувь": 2},
                "measures": measured,
            }
            for step in ("paraphrase", "style")
        },
    }
    for name, content in files.items():
        write_json(tmp_path / f"data/{name}.json", content)
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
    write_table(tmp_path / "data/evaluate/predictions.csv", predictions)
    write_table(tmp_path / "data/doubt/reviews.parquet", DOUBTFUL)
    write_json(tmp_path / "data/doubt/counts.json", {"labels": 40, "doubtful": 9, "read": 5, "shown": len(DOUBTFUL)})
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks/front.json", tmp_path / "benchmarks")
    (tmp_path / "data/dataset").mkdir(exist_ok=True)
    (tmp_path / "data/dataset/README.md").write_text("# Training set\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(folder: Path, params: Params) -> Run:
    """That run, read from its files."""
    return read_run(params)


@pytest.fixture
def answered(run: Run) -> Run:
    """That run after people answered reviews of it, which are scored alone."""
    given = [score("human", who, 0.4) for who in ("teacher", "written", "human", "style")]
    gains = [Gain("human", "style", "real", MACRO_F1, 0.1, -0.02, 0.2)]
    return replace(
        run,
        scores=as_table(given, Score),
        gains=as_table(gains, Gain),
        class_scores=run.class_scores.assign(gold_set="human"),
        predictions=run.predictions.assign(gold_set="human"),
        rows={**run.rows, "human": {"одежда": 3, "обувь": 2}},
        answers={"answers": 12, "learnt": 5, "temperature": 2, "scored": 4, "set_aside": 1},
    )


@pytest.fixture
def unchecked(run: Run) -> Run:
    """The least that a run leaves: no checked reviews, no synthetic rows, no benchmark."""
    agreement = Score(AGREEMENT, "style", "all", 4, 0.5, 0.2, 0.8)
    return Run(
        params=run.params,
        scores=as_table([agreement], Score),
        predictions=run.predictions.head(4).assign(gold_set=AGREEMENT, actual=""),
        intake=run.intake,
        labelling=run.labelling,
        rows={"real": {"одежда": 8}},
    )


def report(run: Run, front: dict | None = None, doubt: dict | None = None) -> str:
    """The page of a run, beside no front and no doubtful reviews unless these are given."""
    return page({**figures(run), "front": front or {}, "doubt": doubt or {"shown": 0}})
