"""The stages train, evaluate, benchmark and predict, one after the other on a tiny student."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from datasets import DatasetDict

import stages.benchmark
import stages.evaluate
import stages.predict
import stages.train
from stages.common.config import Benchmark, Evaluate, Labels, Train
from stages.common.errors import DataError, ModelError
from stages.common.io import read_json, write_table
from stages.common.schema import PROVENANCES
from stages.modelling.predict import predict_probabilities
from stages.modelling.temperature import SMALLEST


@pytest.fixture
def workspace(
    label_names: list[str],
    encoders: dict[str, Path],
    splits: DatasetDict,
    train_settings: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> SimpleNamespace:
    """A repository with dataset and encoder; the stages see these parameters."""
    params = SimpleNamespace(
        seed=7,
        labels=Labels(names=label_names),
        train=train_settings,
        evaluate=Evaluate(batch_size=4, bootstrap=50, coverage=0.95),
        benchmark=Benchmark(singles=3, warmup=1, batch_size=4, batches=2, limit_seconds=60.0),
    )
    splits.save_to_disk(str(tmp_path / "data/dataset"))
    (tmp_path / "data/models").mkdir()
    (tmp_path / "data/models/student").symlink_to(encoders["xlm-roberta"])
    for stage in (stages.train, stages.evaluate, stages.benchmark):
        monkeypatch.setattr(stage, "load", lambda: params)
    return params


def train(monkeypatch: pytest.MonkeyPatch, *variants: str) -> None:
    for variant in variants:
        monkeypatch.setattr(sys, "argv", ["train", variant])
        stages.train.main()


def write_gold(folder: Path, reviews: dict[str, list[str]]) -> None:
    rows = [
        {"gold_set": "gold", "id": text, "row": row, "text": text, "label": label, "stratum": "random", "flag": flag}
        for label, texts in reviews.items()
        for row, (text, flag) in enumerate(zip(texts[:3], ("clear", "clear", "ambiguous"), strict=True))
    ]
    rows[0]["text"] = "=туфли малы"
    unlabelled = {**rows[0], "id": "later", "label": ""}
    write_table(folder / "data/ingest/gold.parquet", pd.DataFrame([*rows, unlabelled]))
    answers = [
        {"gold_set": "gold", "id": row["id"], "label": "обувь", "confidence": 0.6, "probabilities": [0.6, 0.3, 0.1]}
        for row in rows[1:]
    ]
    for stage in ("label", "curate"):
        write_table(folder / f"data/{stage}/gold.parquet", pd.DataFrame(answers))


def test_train_evaluate_and_benchmark_with_gold(
    workspace: SimpleNamespace, reviews: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(monkeypatch, *PROVENANCES)
    trained = read_json(tmp_path / "metrics/train_style.json")
    assert trained["rows"] == 38
    assert trained["calibration"] == {"rows": 9, "checked": False}
    assert trained["seconds"] > 0
    assert not list((tmp_path / "cache/checkpoints").iterdir())

    write_gold(tmp_path, reviews)
    stages.evaluate.main()
    scores = read_json(tmp_path / "metrics/evaluate.json")["gold"]
    assert list(scores) == ["teacher", "curated", *PROVENANCES]
    assert {subset: part["rows"] for subset, part in scores["style"].items()} == {
        "all": 9,
        "clear": 6,
        "random": 9,
        "random_clear": 6,
    }
    # The teacher says обувь to 8 of 9 rows and nothing to one; two of the three обувь rows are hits.
    assert scores["teacher"]["all"]["accuracy"] == pytest.approx(2 / 9, abs=1e-4)
    gain = read_json(tmp_path / "metrics/synthetic_gain.json")["gold"]
    macro_f1 = {student: scores[student]["all"]["macro_f1"] for student in PROVENANCES}
    assert {student: values["value"] for student, values in gain["macro_f1"].items()} == macro_f1
    for student, before in zip(PROVENANCES[1:], PROVENANCES, strict=False):
        for base, compared in (("real", "macro_f1_over_real"), (before, "macro_f1_over_step_before")):
            change = gain[compared][student]
            assert change["difference"] == pytest.approx(macro_f1[student] - macro_f1[base], abs=2e-4)
            assert change["low"] <= change["high"]
    # Real and written rows are the same here, and so are the students.
    assert gain["macro_f1_over_real"]["written"] == {"difference": 0, "low": 0, "high": 0}
    assert set(gain["final_f1_over_real"]) == set(workspace.labels.names)
    for student in ("teacher", *PROVENANCES):
        assert len(pd.read_csv(tmp_path / f"metrics/class_f1/{student}.csv")) == 3
    predictions = pd.read_csv(tmp_path / "data/evaluate/predictions.csv", keep_default_na=False)
    assert len(predictions) == 9
    assert predictions["text"][0] == "'=туфли малы"
    assert predictions["teacher"].to_list() == [""] + ["обувь"] * 8
    assert len(pd.read_csv(tmp_path / "metrics/confusion.csv")) == 9
    errors = pd.read_csv(tmp_path / "data/evaluate/errors.csv")
    assert len(errors) == (predictions["actual"] != predictions["predicted"]).sum()
    assert errors["confidence"].is_monotonic_decreasing
    assert set(errors["stratum"]) <= {"random"}
    assert pd.read_csv(tmp_path / "metrics/coverage.csv")["coverage"].iloc[-1] == 1
    assert "gold · style" in (tmp_path / "data/evaluate/report.txt").read_text()
    assert all((tmp_path / f"metrics/confusion.{ending}").stat().st_size > 5000 for ending in ("png", "pdf"))

    stages.benchmark.main()
    measured = read_json(tmp_path / "metrics/benchmark.json")
    assert measured["variant"] == "style"
    assert measured["within_limit"] is True
    assert measured["batched"]["texts"] == 8


def test_evaluate_without_gold_speaks_of_agreement(
    workspace: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(monkeypatch, *PROVENANCES)
    stages.evaluate.main()
    assert "agreement with the teacher" in caplog.text
    content = (tmp_path / "metrics/evaluate.json").read_text()
    assert "f1" not in content
    agreement = json.loads(content)["agreement_with_teacher"]["style"]
    assert agreement["rows"] == 9
    assert agreement["agreement_low"] <= agreement["agreement"] <= agreement["agreement_high"]
    assert read_json(tmp_path / "metrics/synthetic_gain.json") == {}
    assert pd.read_csv(tmp_path / "metrics/class_f1/style.csv").empty
    predictions = pd.read_csv(tmp_path / "data/evaluate/predictions.csv", keep_default_na=False)
    assert set(predictions["actual"]) == {""}
    assert set(predictions["teacher"]) == set(workspace.labels.names)
    errors = pd.read_csv(tmp_path / "data/evaluate/errors.csv", keep_default_na=False)
    assert len(errors) == (predictions["predicted"] != predictions["teacher"]).sum()


def test_checked_rows_say_how_sure_the_student_is_and_change_nothing_else(
    workspace: SimpleNamespace, reviews: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text for some in reviews.values() for text in some]
    train(monkeypatch, "style")
    before = predict_probabilities(tmp_path / "data/students/style", texts, 8)
    # People who agree with every answer.
    labels = [workspace.labels.names[index] for index in before.argmax(axis=1)]
    checked = pd.DataFrame({"gold_set": "calibration", "row": 0, "text": texts, "label": labels})
    write_table(tmp_path / "data/ingest/calibration.parquet", checked)
    train(monkeypatch, "style")
    after = predict_probabilities(tmp_path / "data/students/style", texts, 8)
    trained = read_json(tmp_path / "metrics/train_style.json")
    assert trained["calibration"] == {"rows": 18, "checked": True}
    assert trained["temperature"] == pytest.approx(SMALLEST, rel=0.01)
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    assert (after.max(axis=1) > before.max(axis=1)).all()

    workspace.train = dataclasses.replace(workspace.train, temperature_scaling=False)
    train(monkeypatch, "style")
    unscaled = read_json(tmp_path / "metrics/train_style.json")
    assert (unscaled["temperature"], unscaled["calibration"]) == (1, None)


def test_benchmark_beyond_the_limit_is_recorded_and_fails(
    workspace: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(monkeypatch, "style")
    workspace.benchmark = Benchmark(singles=2, warmup=1, batch_size=2, batches=1, limit_seconds=0.0)
    with pytest.raises(SystemExit) as exit_:
        stages.benchmark.main()
    assert exit_.value.code == 1
    assert read_json(tmp_path / "metrics/benchmark.json")["within_limit"] is False
    assert "the limit is 0.00 s" in caplog.text


def test_predict_table_and_single_text(
    workspace: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(monkeypatch, "style")
    rows = {"id": ["007", "008", "009"], "отзыв": ["=платье село", "  ", "<b>кеды</b> малы"]}
    pd.DataFrame(rows).to_csv(tmp_path / "new.csv", index=False)
    predict(monkeypatch, "--input", "new.csv", "--output", "out.csv", "--text-column", "отзыв")
    answered = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert list(answered) == ["id", "отзыв", "category", "confidence"]
    assert answered["id"].to_list() == ["007", "008", "009"]
    assert answered["отзыв"][0] == "'=платье село"
    assert answered["category"][1] == answered["confidence"][1] == ""
    assert {answered["category"][0], answered["category"][2]} <= set(workspace.labels.names)
    # Of three categories none reaches certainty: all are left open, with their confidence.
    predict(
        monkeypatch, "--input", "new.csv", "--output", "sure.csv", "--text-column", "отзыв", "--min-confidence", "1"
    )
    unsure = pd.read_csv(tmp_path / "sure.csv", dtype=str, keep_default_na=False)
    assert set(unsure["category"]) == {""}
    assert unsure["confidence"].equals(answered["confidence"])

    predict(monkeypatch, "--input", "new.csv", "--output", "out.parquet", "--text-column", "отзыв")
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert table["отзыв"].to_list() == rows["отзыв"]
    assert table["confidence"].dropna().between(1 / 3, 1).all()

    monkeypatch.setattr(sys, "stdin", io.StringIO("кеды малы\n"))
    capsys.readouterr()
    predict(monkeypatch)
    category, confidence = capsys.readouterr().out.strip().split("\t")
    assert category in workspace.labels.names
    assert 1 / 3 <= float(confidence) <= 1


@pytest.mark.parametrize(
    ("content", "arguments", "error", "message"),
    [
        (None, ["--input", "in.csv", "--output", "out.csv"], DataError, "in.csv does not exist"),
        (b"", ["--input", "in.csv", "--output", "out.csv"], DataError, "in.csv is empty"),
        (b"a,b\n1,2\n", ["--input", "in.csv", "--output", "out.csv"], DataError, "'text'.*'a', 'b'"),
        ("text\nплатье\n".encode("cp1251"), ["--input", "in.csv", "--output", "out.csv"], DataError, "UTF-8"),
        (b"text\nx\n", ["--input", ".", "--output", "out.csv"], DataError, "is a folder"),
        (b"text\nx\n", ["--input", "in.csv", "--output", "out.xlsx"], DataError, "use .csv or .parquet"),
        (b"text\nx\n", ["--input", "in.csv", "--output", "in.csv"], DataError, "is the input"),
        (b"text,category\nx,y\n", ["--input", "in.csv", "--output", "out.csv"], DataError, "'category'"),
        (b"text\nx\n", ["--input", "in.csv", "--output", "out.csv"], ModelError, "no trained student"),
        (b"text\nx\n", ["--input", "in.csv", "--output", "o.csv", "--model", "."], ModelError, "no trained student"),
    ],
)
def test_predict_errors_say_what_to_do(
    content: bytes | None,
    arguments: list[str],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if content is not None:
        (tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(error, match=message) as raised:
        predict(monkeypatch, *arguments)
    assert "\n" not in str(raised.value)


def test_predict_refuses_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" \n"))
    with pytest.raises(DataError, match="standard input is empty"):
        predict(monkeypatch)


def predict(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["predict", *arguments])
    stages.predict.main()
