"""The stages train, evaluate, benchmark and predict, one after the other on a tiny student."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets import DatasetDict

import stages.answer
import stages.benchmark
import stages.distil
import stages.doubt
import stages.evaluate
import stages.export
import stages.index
import stages.predict
import stages.summary
import stages.train
from stages.common.figures import read_figures
from stages.common.fingerprint import fingerprint
from stages.common.gold import COLUMNS, PEOPLE, scored_rows
from stages.common.labels import Labels
from stages.common.manifest import MANIFEST, write_manifest
from stages.common.provenances import PROVENANCES, SYNTHETIC_STEPS
from stages.distilling import pretrained
from stages.distilling.config import Distil
from stages.distilling.pretrained import Learnt
from stages.distilling.texts import Texts
from stages.embedding.config import Embed
from stages.embedding.embedder import Embedder
from stages.encoding.means import TokenMeans
from stages.exporting import quantization
from stages.exporting.config import Export
from stages.headline import score_table
from stages.inference.answers import student_probabilities
from stages.inference.classifier import Classifier
from stages.inference.config import Answer
from stages.inference.folder import ENCODER, HEAD, INDEX, TRAINING
from stages.inference.onnx_classifier import FULL, QUANTIZED, OnnxClassifier
from stages.latency.config import Benchmark
from stages.measures.config import Doubt
from stages.running.errors import ConfigError, DataError, ModelError
from stages.running.io import read_json, write_json, write_table
from stages.scoring.agreement import AGREEMENT
from stages.scoring.config import Evaluate
from stages.serving.examples import read_examples
from stages.training import encoder
from stages.training.config import Lexicon, Lora, Train
from stages.training.encoder import Encoder
from stages.training.temperature import SMALLEST
from stages.vocabulary.config import VocabularyFiles
from tests.conftest import ROOT


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
        labels=Labels(language="ru", names=label_names),
        vocabulary=VocabularyFiles(seeds="seeds.csv", attributes="attributes.yaml"),
        embed=Embed(prefix="", lowercase=False, pooling="mean", batch_size=4, max_tokens=8),
        distil=Distil(
            into=None, layers=None, lowercase=True, words=100, texts=1000, epochs=5, batch_size=4, learning_rate=0.01
        ),
        train=train_settings,
        answer=Answer(batch_size=4),
        export=Export(max_f1_drop=0.2),
        evaluate=Evaluate(bootstrap=50, coverage=0.95),
        benchmark=Benchmark(singles=3, warmup=1, batch_size=4, batches=2, limit_seconds=60.0),
    )
    for split, rows in splits.items():
        (tmp_path / "data/dataset").mkdir(parents=True, exist_ok=True)
        rows.to_parquet(str(tmp_path / f"data/dataset/{split}.parquet"))
    write_manifest(tmp_path / "data/dataset")
    write_table(tmp_path / "data/ingest/gold.parquet", pd.DataFrame(columns=list(COLUMNS)))
    (tmp_path / "data/models").mkdir()
    (tmp_path / "data/models/student").symlink_to(encoders["xlm-roberta"])
    taking = (
        stages.distil,
        stages.train,
        stages.answer,
        stages.evaluate,
        stages.export,
        stages.index,
        stages.benchmark,
    )
    for stage in taking:
        monkeypatch.setattr(stage, "load", lambda _: params)
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
    write_table(folder / "data/label/asked.parquet", pd.DataFrame(rows)[["gold_set", "id"]])
    for stage in ("label", "curate"):
        write_table(folder / f"data/{stage}/gold.parquet", pd.DataFrame(answers))
        write_table(folder / f"data/{stage}/labels.parquet", pd.DataFrame(answers).drop(columns="gold_set"))


def test_train_evaluate_and_benchmark_with_gold(
    workspace: SimpleNamespace, reviews: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(monkeypatch, *PROVENANCES)
    trained = read_json(tmp_path / "data/students/style/training.json")
    assert trained["rows"] == 38
    assert trained["calibration"] == {"rows": 9, "checked": 0, "answered": 0}
    assert not list((tmp_path / "cache/checkpoints").iterdir())

    write_gold(tmp_path, reviews)
    stages.answer.main()
    stages.evaluate.main()
    scores = read_figures(tmp_path / "metrics/scores.csv").set_index(["who", "subset"])
    assert set(scores["gold_set"]) == {"gold"}
    assert list(scores.xs("all", level="subset").index) == ["teacher", "curated", *PROVENANCES]
    assert scores.loc["style"]["rows"].to_dict() == {"all": 9, "clear": 6, "random": 9, "random_clear": 6}
    # The teacher says обувь to 8 of 9 rows and nothing to one; two of the three обувь rows are hits.
    assert scores.loc["teacher", "all"]["accuracy"] == pytest.approx(2 / 9, abs=1e-4)
    gains = read_figures(tmp_path / "metrics/gain.csv").set_index(["student", "over", "measure"]).sort_index()
    macro_f1 = {student: scores.loc[student, "all"]["macro_f1"] for student in PROVENANCES}
    for student, before in zip(PROVENANCES[1:], PROVENANCES, strict=False):
        for base in ("real", before):
            change = gains.loc[student, base, "macro F1"]
            assert change["difference"] == pytest.approx(macro_f1[student] - macro_f1[base], abs=2e-4)
            assert change["low"] <= change["high"]
    # Real and written rows are the same here, and so are the students.
    assert gains.loc["written", "real", "macro F1"][["difference", "low", "high"]].to_list() == [0, 0, 0]
    assert set(gains.loc["style", "real"].index) == {"macro F1", *workspace.labels.names}
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
    for picture in ("metrics/confusion.png", "data/evaluate/confusion.pdf"):
        assert (tmp_path / picture).stat().st_size > 5000

    stages.export.main()
    gate = read_json(tmp_path / "data/export/gate.json")
    assert (gate["rows"], gate["checked"]) == (9, False)

    stages.benchmark.main()
    measured = read_json(tmp_path / "data/latency/latency.json")
    assert measured["file"] == gate["file"]
    assert measured["within_limit"] is True
    assert measured["batched"]["texts"] == 8

    for step in SYNTHETIC_STEPS:
        write_json(tmp_path / f"data/measures/{step}.json", {"accepted_share": None if step == "style" else 0.5})
    write_json(tmp_path / "data/measures/curation.json", {"changed_share": 0.25})
    none = {"answers": 0, "learnt": 0, "temperature": 0, "scored": 0, "set_aside": 0}
    write_json(tmp_path / "data/measures/answers.json", none)
    stages.summary.main()
    summary = read_json(tmp_path / "metrics/summary.json")
    assert summary["macro_f1"] == macro_f1["style"]
    assert summary["macro_f1_gain_over_real_rows"] == gains.loc["style", "real", "macro F1"]["difference"]
    assert (summary["labels_changed_share"], summary["synthetic_accepted_share"]) == (0.25, 0.5)
    assert all(isinstance(value, float) for value in summary.values())


@pytest.mark.parametrize("name", ["qwen3", pytest.param("qwen2", marks=pytest.mark.slow)])
def test_a_decoder_goes_the_way_of_every_student(
    name: str,
    workspace: SimpleNamespace,
    encoders: dict[str, Path],
    reviews: dict[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "data/models/student").unlink()
    (tmp_path / "data/models/student").symlink_to(encoders[name])
    lora = Lora(rank=4, alpha=8, dropout=0.1, targets=None)
    workspace.train = dataclasses.replace(
        workspace.train, epochs=1, pooling="last", prompt="отзыв: ", suffix="\nкатегория:", max_tokens=40, lora=lora
    )
    train(monkeypatch, *PROVENANCES)
    student = tmp_path / "data/students/style"
    assert read_json(student / "config.json")["architectures"] == ["SentenceClassifier"]
    # Merged: nobody sees that there were updates.
    assert {path.name for path in student.iterdir()} == {
        ENCODER, HEAD, INDEX, MANIFEST, TRAINING, "config.json", "tokenizer.json", "tokenizer_config.json",
        "lexicon.py", "sentence_classifier.py", "static_encoder.py",
    }  # fmt: skip
    assert not [key for key in read_json(student / INDEX)["weight_map"] if "lora" in key or "base_layer" in key]
    write_gold(tmp_path, reviews)
    stages.answer.main()
    stages.evaluate.main()
    scores = read_figures(tmp_path / "metrics/scores.csv")
    assert set(scores["who"]) == {"teacher", "curated", *PROVENANCES}
    stages.export.main()
    gate = read_json(tmp_path / "data/export/gate.json")
    assert gate["max_difference_fp32"] < 1e-3
    stages.benchmark.main()
    assert read_json(tmp_path / "data/latency/latency.json")["file"] == gate["file"]
    # What is predicted by ONNX Runtime is what was answered by torch.
    answers = pd.read_parquet(tmp_path / "data/answers/style.parquet")
    texts = pd.read_parquet(tmp_path / "data/answers/rows.parquet")["text"].to_list()
    onnx = OnnxClassifier(tmp_path / "data/export/onnx").predict_proba(texts)
    assert onnx == pytest.approx(np.stack(answers["probabilities"]), abs=0.05)
    monkeypatch.setattr(sys, "argv", ["predict", "--model", "data/students/style"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(texts[1].encode())))
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    stages.predict.main()
    best = np.stack(answers["probabilities"])[1].argmax()
    assert written.getvalue().split("\t")[0] == workspace.labels.names[best]


def test_students_with_the_same_encoder_are_asked_in_one_pass(
    workspace: SimpleNamespace, reviews: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.train = dataclasses.replace(workspace.train, epochs=0, linear_probe=0.001, pooling="mean")
    train(monkeypatch, *PROVENANCES)
    # One file under five names.
    assert len({(tmp_path / "data/students" / name / ENCODER).stat().st_ino for name in PROVENANCES}) == 1
    encoders = {fingerprint(tmp_path / "data/students" / name, without=[HEAD, INDEX, TRAINING]) for name in PROVENANCES}
    assert len(encoders) == 1
    write_gold(tmp_path, reviews)
    passes = []
    compute = TokenMeans._compute
    monkeypatch.setattr(TokenMeans, "_compute", lambda *a: passes.append(len(a[1])) or compute(*a))
    stages.answer.main()
    # The others are among the reviews that the students learnt from.
    assert passes == [1]
    # What is answered so is what the student itself answers, but for what a steep head makes of the seventh digit.
    answers = pd.read_parquet(tmp_path / "data/answers/style.parquet")
    texts = pd.read_parquet(tmp_path / "data/answers/rows.parquet")["text"].to_list()
    itself = Classifier(tmp_path / "data/students/style").predict_proba(texts, 4)
    assert np.stack(answers["probabilities"]) == pytest.approx(itself, abs=1e-4)
    # Another loss is another head: nothing goes through the encoder again.
    before = (tmp_path / "data/students/real" / HEAD).read_bytes()
    workspace.train = dataclasses.replace(workspace.train, loss=dataclasses.replace(workspace.train.loss, name="focal"))
    monkeypatch.setattr(Encoder, "_student", property(lambda _: pytest.fail("an encoder was loaded")))
    train(monkeypatch, "real")
    assert (tmp_path / "data/students/real" / HEAD).read_bytes() != before
    stages.answer.main()
    assert passes == [1]


def test_a_student_written_by_other_code_is_no_twin(
    workspace: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.train = dataclasses.replace(workspace.train, epochs=0, linear_probe=0.1, pooling="mean")
    train(monkeypatch, "written")
    twin = tmp_path / "data/students/written"
    for edited in ("ARCHITECTURE", "WRITTEN_BY"):
        (tmp_path / "edited.py").write_text(f"# {edited}\n")
        monkeypatch.setattr(encoder, edited, (tmp_path / "edited.py",))
        train(monkeypatch, "real")
        assert not (tmp_path / "data/students/real" / ENCODER).samefile(twin / ENCODER)
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(stages.train, "load", lambda _: workspace)


@pytest.mark.parametrize("pooling", ["mean", "model"])
def test_another_seed_or_student_does_not_go_on_from_these_checkpoints(
    pooling: str, workspace: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []

    def stop(*arguments: object) -> None:
        folders.append(arguments[4])
        raise KeyboardInterrupt

    monkeypatch.setattr(stages.train, "fine_tuned", stop)
    workspace.train = dataclasses.replace(workspace.train, pooling=pooling)
    # Real and written rows are the same here.
    for seed, variant in ((7, "real"), (7, "real"), (8, "real"), (7, "written")):
        workspace.seed = seed
        with pytest.raises(KeyboardInterrupt):
            train(monkeypatch, variant)
    assert folders[0] == folders[1]
    assert len(set(folders)) == 3
    # What takes less memory may go on from what took too much.
    workspace.seed, workspace.train = 7, dataclasses.replace(workspace.train, gradient_checkpointing=True)
    with pytest.raises(KeyboardInterrupt):
        train(monkeypatch, "real")
    assert folders[-1] == folders[0]


def test_a_head_alone_needs_a_card_for_half_precision_too(
    workspace: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.train = dataclasses.replace(workspace.train, epochs=0, linear_probe=0.1, precision="fp16")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="needs a graphics card"):
        train(monkeypatch, "real")


def test_a_student_that_averages_is_loaded_by_a_process_that_never_trained(
    workspace: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.train = dataclasses.replace(workspace.train, epochs=0, linear_probe=0.1, pooling="mean")
    train(monkeypatch, "style")
    command = [sys.executable, "-m", "stages.predict", "--model", "data/students/style"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, input="кеды малы", capture_output=True, text=True, check=True)
    assert done.stdout.split("\t")[0] in workspace.labels.names


def test_evaluate_without_gold_speaks_of_agreement(
    workspace: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(monkeypatch, *PROVENANCES)
    stages.answer.main()
    stages.evaluate.main()
    assert "to be held against the teacher" in caplog.text
    scores = read_figures(tmp_path / "metrics/scores.csv")
    assert set(scores["gold_set"]) == {"agreement_with_teacher"}
    assert scores[["weighted_f1", "macro_f1", "ece"]].isna().all(axis=None)
    agreement = scores.set_index("who").loc["style"]
    assert agreement["rows"] == 9
    assert agreement["accuracy_low"] <= agreement["accuracy"] <= agreement["accuracy_high"]
    assert read_figures(tmp_path / "metrics/gain.csv").empty
    assert pd.read_csv(tmp_path / "metrics/class_f1/style.csv").empty
    predictions = pd.read_csv(tmp_path / "data/evaluate/predictions.csv", keep_default_na=False)
    assert set(predictions["actual"]) == {""}
    assert set(predictions["teacher"]) == set(workspace.labels.names)
    errors = pd.read_csv(tmp_path / "data/evaluate/errors.csv", keep_default_na=False)
    assert len(errors) == (predictions["predicted"] != predictions["teacher"]).sum()
    assert "agreement" in score_table(scores).columns


@pytest.mark.parametrize("rows", [2, 3])
def test_what_people_answered_is_the_score_where_there_is_no_gold(
    rows: int,
    workspace: SimpleNamespace,
    reviews: dict[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace.train = dataclasses.replace(workspace.train, epochs=0, linear_probe=0.1)
    train(monkeypatch, *PROVENANCES)
    test = pd.read_parquet(tmp_path / "data/dataset/test.parquet").head(rows)
    people = test[["id", "text"]].assign(gold_set=PEOPLE, row=range(rows), label="одежда", stratum="random", flag="")
    write_table(tmp_path / "data/correct/checked.parquet", people)
    write_table(tmp_path / "data/label/asked.parquet", pd.DataFrame(columns=["gold_set", "id"]))
    for stage, label in (("label", "обувь"), ("curate", "одежда")):
        said = test[["id"]].assign(label=label, probabilities=[[0.6, 0.3, 0.1]] * rows)
        write_table(tmp_path / f"data/{stage}/labels.parquet", said)
        write_table(tmp_path / f"data/{stage}/gold.parquet", said.head(0).assign(gold_set=""))
    stages.answer.main()
    stages.evaluate.main()
    scores = read_figures(tmp_path / "metrics/scores.csv").query("subset == 'all'").set_index("who")
    if rows < 3:
        # Of two rows no interval says anything: the test split is held against the models, as without answers.
        assert set(scores["gold_set"]) == {AGREEMENT}
        return
    assert set(scores["gold_set"]) == {PEOPLE}
    assert list(scores.index) == ["teacher", "curated", *PROVENANCES]
    assert scores.loc[["teacher", "curated"], "accuracy"].to_list() == [0, 1]
    for student in PROVENANCES:
        assert 0 <= scores.loc[student, "macro_f1_low"] <= scores.loc[student, "macro_f1_high"] <= 1
    gains = read_figures(tmp_path / "metrics/gain.csv").set_index(["student", "over", "measure"])
    assert gains.loc["human", "written", "macro F1"]["difference"] == 0
    for step in SYNTHETIC_STEPS:
        write_json(tmp_path / f"data/measures/{step}.json", {"accepted_share": None})
    write_json(tmp_path / "data/measures/curation.json", {"changed_share": 0.25})
    counts = {"answers": 4, "learnt": 0, "temperature": 0, "scored": 3, "set_aside": 1}
    write_json(tmp_path / "data/measures/answers.json", counts)
    stages.export.main()
    stages.benchmark.main()
    stages.summary.main()
    summary = read_json(tmp_path / "metrics/summary.json")
    assert (summary["answers_learnt"], summary["answers_scored"]) == (0, 3)
    assert summary["macro_f1"] == scores.loc["style", "macro_f1"]
    # The same figures again.
    assert "macro_f1_human" not in summary


def test_gold_comes_first_and_what_people_answered_after_it(
    workspace: SimpleNamespace, reviews: dict[str, list[str]], tmp_path: Path
) -> None:
    write_gold(tmp_path, reviews)
    gold = pd.read_parquet(tmp_path / "data/ingest/gold.parquet")
    write_table(tmp_path / "data/correct/checked.parquet", gold.head(4).assign(gold_set=PEOPLE))
    rows = scored_rows(tmp_path / "data", workspace.labels.names)
    assert rows["gold_set"].to_list() == ["gold"] * 9 + [PEOPLE] * 4


def test_checked_rows_say_how_sure_the_student_is_and_change_nothing_else(
    workspace: SimpleNamespace, reviews: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text for some in reviews.values() for text in some]
    train(monkeypatch, "style")
    before = student_probabilities(tmp_path / "data/students/style", texts, 8)
    # People who agree with every answer.
    labels = [workspace.labels.names[index] for index in before.argmax(axis=1)]
    checked = pd.DataFrame({"gold_set": "calibration", "row": 0, "text": texts, "label": labels})
    write_table(tmp_path / "data/ingest/calibration.parquet", checked)
    train(monkeypatch, "style")
    after = student_probabilities(tmp_path / "data/students/style", texts, 8)
    trained = read_json(tmp_path / "data/students/style/training.json")
    assert trained["calibration"] == {"rows": 18, "checked": 18, "answered": 0}
    assert trained["temperature"] == pytest.approx(SMALLEST, rel=0.01)
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    assert (after.max(axis=1) > before.max(axis=1)).all()

    workspace.train = dataclasses.replace(workspace.train, temperature_scaling=False)
    train(monkeypatch, "style")
    unscaled = read_json(tmp_path / "data/students/style/training.json")
    assert (unscaled["temperature"], unscaled["calibration"]) == (1, None)


def test_benchmark_beyond_the_limit_is_recorded_and_fails(
    workspace: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(monkeypatch, "style")
    stages.export.main()
    workspace.benchmark = Benchmark(singles=2, warmup=1, batch_size=2, batches=1, limit_seconds=0.0)
    with pytest.raises(SystemExit) as exit_:
        stages.benchmark.main()
    assert exit_.value.code == 1
    assert read_json(tmp_path / "data/latency/latency.json")["within_limit"] is False
    assert "the limit is 0.00 s" in caplog.text


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("xlm-roberta", {}),
        ("bert", {"epochs": 0, "linear_probe": 0.1, "pooling": "mean"}),
        ("t5", {"epochs": 0, "linear_probe": 0.1, "pooling": "cls"}),
        ("t5", {"epochs": 1, "pooling": "cls"}),
    ],
    ids=["XLM-R", "BERT as it is", "T5 as it is", "T5"],
)
def test_the_exported_student_is_the_student(
    name: str,
    change: dict[str, Any],
    workspace: SimpleNamespace,
    encoders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace.train = dataclasses.replace(workspace.train, **change)
    (tmp_path / "data/models/student").unlink()
    (tmp_path / "data/models/student").symlink_to(encoders[name])
    train(monkeypatch, "style")
    stages.export.main()
    gate = read_json(tmp_path / "data/export/gate.json")
    assert gate["max_difference_fp32"] < 1e-4
    assert (gate["passed"], gate["file"]) == (True, QUANTIZED)
    exported = OnnxClassifier(tmp_path / "data/export/onnx")
    texts = ["кеды малы", "платье село"]
    right = Classifier(tmp_path / "data/students/style").predict_proba(texts, 2)
    assert (exported.labels, exported.file) == (workspace.labels.names, QUANTIZED)
    assert exported.predict_proba(texts) == pytest.approx(right, abs=max(gate["max_difference"], 0.05))

    stages.index.main()
    examples = read_examples(tmp_path / "data/index", lambda given: exported.predict_and_embed(given)[1])
    assert examples is not None
    assert len(examples) == 38
    _, (vector,) = exported.predict_and_embed(["платье село"])
    nearest = examples.nearest(vector, 1)[0]
    assert (nearest.label, nearest.provenance) == ("одежда", "real")
    assert nearest.similarity == pytest.approx(1, abs=0.05)


def test_int8_that_costs_too_much_is_not_used(
    workspace: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.train = dataclasses.replace(workspace.train, epochs=0, linear_probe=0.1, pooling="mean")
    train(monkeypatch, "style")
    rounded = quantization._rounded
    # All weights, and all words, become 0.
    monkeypatch.setattr(
        quantization, "_rounded", lambda *given, **named: (0 * (pair := rounded(*given, **named))[0], pair[1])
    )
    workspace.export = Export(max_f1_drop=0.005)
    stages.export.main()
    gate = read_json(tmp_path / "data/export/gate.json")
    assert gate["macro_f1_int8"] < gate["macro_f1"] - 0.005
    assert (gate["passed"], gate["file"]) == (False, FULL)
    assert "more than export.max_f1_drop=0.005: model.onnx is used" in caplog.text
    exported = OnnxClassifier(tmp_path / "data/export/onnx")
    right = Classifier(tmp_path / "data/students/style").predict_proba(["кеды малы"], 1)
    assert exported.file == FULL
    assert exported.predict_proba(["кеды малы"]) == pytest.approx(right, abs=1e-4)


def test_predict_uses_what_was_exported(
    workspace: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(monkeypatch, "style")
    stages.export.main()
    (tmp_path / "data/student").mkdir()
    (tmp_path / "data/student/onnx").symlink_to(tmp_path / "data/export/onnx")
    (tmp_path / "new.csv").write_text("text\nкеды малы\nплатье село\n")
    predict(monkeypatch, "--input", "new.csv", "--output", "out.csv")
    answered = pd.read_csv(tmp_path / "out.csv")
    probabilities = OnnxClassifier(tmp_path / "data/student/onnx").predict_proba(answered["text"].to_list())
    assert answered["confidence"].to_list() == pytest.approx(probabilities.max(axis=1), abs=1e-4)


def test_predict_table_and_single_text(
    workspace: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    train(monkeypatch, "style")
    (tmp_path / "data/student").symlink_to("students/style")
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

    standard_input(monkeypatch, "кеды малы\n".encode())
    capsys.readouterr()
    predict(monkeypatch)
    answered_so = capsys.readouterr().out
    category, confidence = answered_so.strip().split("\t")
    assert category in workspace.labels.names
    assert 1 / 3 <= float(confidence) <= 1
    caplog.clear()
    standard_input(monkeypatch, "кеды малы\n".encode("cp1251"))
    predict(monkeypatch)
    assert capsys.readouterr().out == answered_so
    assert "standard input is read as cp1251" in caplog.text


@pytest.mark.parametrize(
    ("content", "arguments", "error", "message"),
    [
        (None, ["--input", "in.csv", "--output", "out.csv"], DataError, "in.csv does not exist"),
        (b"", ["--input", "in.csv", "--output", "out.csv"], DataError, "in.csv is empty"),
        (b"a,b\n1,2\n", ["--input", "in.csv", "--output", "out.csv"], DataError, "'text'.*'a', 'b'"),
        ("text\nхорошее\n".encode() + b"\xff\n", ["--input", "in.csv", "--output", "out.csv"], DataError, "UTF-8"),
        (b"text\nx\n", ["--input", ".", "--output", "out.csv"], DataError, "is a folder"),
        (b"text\nx\n", ["--input", "in.csv", "--output", "out.xlsx"], DataError, "use .csv or .parquet"),
        (b"text\nx\n", ["--input", "in.csv", "--output", "in.csv"], DataError, "is the input"),
        # There is no student, either: it would be loaded later.
        (b"text\nx\n", ["--input", "in.csv", "--output", "in.csv/out.csv"], DataError, "cannot be written"),
        (b"text\nx\n", ["--input", "in.csv", "--output", "/proc/out.csv"], DataError, "cannot be written"),
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
    standard_input(monkeypatch, b" \n")
    with pytest.raises(DataError, match="standard input is empty"):
        predict(monkeypatch)


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def predict(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["predict", *arguments])
    stages.predict.main()


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4])


def rename_a_label(path: Path) -> None:
    path.write_text(path.read_text().replace('"0":', '"3":', 1))


def take_another_vocabulary(path: Path) -> None:
    written = json.loads(path.read_text())
    words = [*written["model"]["vocab"]]
    written["model"]["vocab"] = dict(zip(words, range(len(words) - 1, -1, -1), strict=True))
    path.write_text(json.dumps(written))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("tokenizer.json", lose),
        ("tokenizer.json", take_another_vocabulary),
        ("tokenizer_config.json", cut),
        ("config.json", lose),
        ("config.json", rename_a_label),
        (ENCODER, lose),
        (ENCODER, cut),
        (HEAD, cut),
        (INDEX, lose),
        (TRAINING, cut),
        (MANIFEST, lose),
    ],
)
def test_a_damaged_student_answers_nothing(
    name: str,
    damage: Callable[[Path], None],
    workspace: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace.train = dataclasses.replace(workspace.train, epochs=0, linear_probe=0.1, pooling="mean")
    train(monkeypatch, "style")
    folder = tmp_path / "data/students/style"
    damage(folder / name)
    standard_input(monkeypatch, "кеды малы".encode())
    with pytest.raises(ModelError, match=rf"{name} .*; .*run `dvc repro") as raised:
        predict(monkeypatch, "--model", str(folder))
    assert "\n" not in str(raised.value)
    with pytest.raises(ModelError, match=name):
        student_probabilities(folder, ["кеды малы"], 4)
    # Nobody takes over its encoder, and it is made anew.
    train(monkeypatch, "real", "style")
    assert (tmp_path / "data/students/real" / ENCODER).samefile(folder / ENCODER)
    assert sum(student_probabilities(folder, ["кеды малы"], 4)[0]) == pytest.approx(1)


def test_a_trained_folder_whose_weights_are_none_is_told(
    workspace: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(monkeypatch, "style")
    folder = tmp_path / "data/students/style"
    (folder / ENCODER).write_bytes(bytes(4))
    write_manifest(folder)
    with pytest.raises(ModelError, match=r"style cannot be loaded \(.*\); .*run `dvc repro"):
        Classifier(folder)


@pytest.mark.parametrize("damage", [lose, cut])
@pytest.mark.parametrize("split", ["train", "test"])
def test_half_a_dataset_teaches_nothing(
    split: str,
    damage: Callable[[Path], None],
    workspace: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damage(tmp_path / f"data/dataset/{split}.parquet")
    with pytest.raises(DataError, match=rf"{split}\.parquet is .*; run `dvc repro dataset`"):
        train(monkeypatch, "style")
    assert not (tmp_path / "data/students").exists()


@pytest.mark.parametrize("damage", [lose, cut])
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_damaged_weights_teach_nothing(
    name: str,
    damage: Callable[[Path], None],
    workspace: SimpleNamespace,
    encoders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "data/models/student").unlink()
    shutil.copytree(encoders["xlm-roberta"], tmp_path / "data/models/student")
    write_manifest(tmp_path / "data/models/student")
    damage(tmp_path / "data/models/student" / name)
    with pytest.raises(ModelError, match=rf"{name} is .*; run `dvc repro models"):
        train(monkeypatch, "style")


@pytest.fixture
def embedder(workspace: SimpleNamespace, encoders: dict[str, Path], tmp_path: Path) -> None:
    """What distilled encoders learn from, and the vocabulary; students are heads on what they are given."""
    (tmp_path / "data/models/embedder").symlink_to(encoders["gemma3"])
    notes = {name: {"товар": ["хорошая вещь"]} for name in workspace.labels.names}
    Path("attributes.yaml").write_text(json.dumps({"products": notes}, ensure_ascii=False), encoding="utf-8")
    seeds = [{"text": "вещь супер", "label": name, "product": "", "notes": ""} for name in workspace.labels.names]
    pd.DataFrame(seeds).to_csv("seeds.csv", index=False)
    workspace.embed = dataclasses.replace(workspace.embed, lowercase=True)
    lexicon = Lexicon(weight=1.0, regularisation=1.0)
    workspace.train = dataclasses.replace(
        workspace.train, epochs=0, linear_probe=0.1, pooling="mean", max_tokens=16, lowercase=True, lexicon=lexicon
    )


def test_a_student_on_a_distilled_encoder_is_one_like_any_other(
    workspace: SimpleNamespace, embedder: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.distil = dataclasses.replace(workspace.distil, into="student", texts=10)
    stages.distil.main()
    distilled = read_json(tmp_path / "data/distilled/distilled.json")
    assert distilled["into"] == "student"
    # Of the train rows ten, and words that none of them is.
    assert distilled["texts"] == 10 + distilled["words"]
    assert not [*(tmp_path / "cache/checkpoints").iterdir()]

    train(monkeypatch, "real", "style")
    stages.export.main()
    texts = ["Туфли, малы!", "платьями супер", "", "xyz заказ не пришёл"]
    by_torch = Classifier(tmp_path / "data/students/style").predict_proba(texts, batch_size=4)
    # In fp32 or int8.
    np.testing.assert_allclose(by_torch, OnnxClassifier(tmp_path / "data/export/onnx").predict_proba(texts), atol=0.02)


def test_what_learns_reads_as_the_student_will_and_not_as_the_embedder_does(
    workspace: SimpleNamespace, embedder: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.embed = dataclasses.replace(workspace.embed, lowercase=False)
    workspace.distil = dataclasses.replace(workspace.distil, into="student", texts=10)
    given: list[Texts] = []

    def learn(
        source: object, train: Texts, validation: Texts, settings: Distil, seed: int, target: Path, checkpoints: Path
    ) -> Learnt:
        given.extend([train, validation])
        checkpoints.mkdir(parents=True)
        return Learnt(1, 0.5)

    monkeypatch.setattr(pretrained, "learn", learn)
    stages.distil.main()
    lessons = stages.distil.read_lessons(workspace)
    of_all = [*lessons.train, *lessons.words]
    by_reading = {text.lower().replace("ё", "е"): text for text in of_all}
    assert given[0].texts == [*by_reading]
    vectors = Embedder(tmp_path / "data/models/embedder", workspace.embed).embed([*by_reading.values()])
    np.testing.assert_array_equal(given[0].vectors, vectors)


def test_a_student_on_vectors_of_words_is_one_like_any_other(
    workspace: SimpleNamespace, embedder: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.distil = dataclasses.replace(workspace.distil, into="static")
    stages.distil.main()
    distilled = read_json(tmp_path / "data/distilled/distilled.json")
    assert 20 < distilled["words"] < 30
    assert 1 <= distilled["epoch"] <= 5

    train(monkeypatch, "real", "style")
    stages.export.main()
    texts = ["Туфли, малы!", "сапогам", "платьями супер", "", "?", "xyz заказ не пришёл"]
    by_torch = Classifier(tmp_path / "data/students/style").predict_proba(texts, batch_size=4)
    by_onnx = OnnxClassifier(tmp_path / "data/export/onnx").predict_proba(texts)
    # In int8.
    np.testing.assert_allclose(by_torch, by_onnx, atol=0.02)
    np.testing.assert_allclose(by_torch.sum(axis=1), 1, atol=1e-5)
    # A form of a word that no row has, and nothing to read in the next two.
    assert np.abs(by_torch[1] - by_torch[3]).max() > 1e-3
    np.testing.assert_allclose(by_torch[3], by_torch[4], atol=1e-6)

    code = "import sys; from transformers import pipeline; p = pipeline('text-classification', sys.argv[1], "
    code += "trust_remote_code=True); print(p('Туфли, малы!')[0]['score'])"
    elsewhere = {**os.environ, "PYTHONPATH": "", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data/students/style")],
        capture_output=True, text=True, check=True, env=elsewhere, cwd=tmp_path,
    )  # fmt: skip
    assert float(done.stdout) == pytest.approx(by_torch[0].max(), abs=1e-3)


def test_the_student_answers_the_most_doubtful_reviews_alone_and_none_that_a_person_answered(
    workspace: SimpleNamespace, reviews: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(monkeypatch, "style")
    texts = [text for some in reviews.values() for text in some[:4]]
    sure, unsure = [0.9, 0.06, 0.04], [0.4, 0.35, 0.25]
    labelled = pd.DataFrame({"id": [f"id{number}" for number in range(len(texts))], "text": texts})
    labelled["probabilities"] = [sure] * len(texts)
    corrected = labelled.assign(
        label=["обувь"] * len(texts),
        confidence=0.9,
        split="train",
        provenance="real",
        likely_error=False,
        # Against the label of one, and without a view of two.
        second_opinion=[[0.05, 0.9, 0.05], unsure, unsure, *[sure] * (len(texts) - 3)],
    )
    corrected.loc[3, "provenance"] = "human"
    write_table(tmp_path / "data/label/labels.parquet", labelled)
    write_table(tmp_path / "data/correct/labels.parquet", corrected)
    workspace.label = SimpleNamespace(low_confidence=0.5)
    workspace.curate = SimpleNamespace(teacher_weight=0.2)
    workspace.doubt = Doubt(reviews=3)
    monkeypatch.setattr(stages.doubt, "load", lambda _: workspace)
    stages.doubt.main()
    found = pd.read_parquet(tmp_path / "data/doubt/reviews.parquet").set_index("id")
    assert {"id0"} <= set(found.index) <= {"id0", "id1", "id2"}
    assert found["doubt"].is_monotonic_decreasing
    given = student_probabilities(tmp_path / "data/students/style", found["text"].to_list(), 4)
    assert found["student"].to_list() == [workspace.labels.names[index] for index in given.argmax(axis=1)]
    assert "second opinion" in found.loc["id0", "reasons"]
    for _, row in found.iterrows():
        assert ("student" in row["reasons"]) == (row["student"] != row["label"])
    counts = read_json(tmp_path / "data/doubt/counts.json")
    assert counts == {"labels": len(texts) - 1, "doubtful": 1, "read": 3, "shown": len(found)}
    # Where people answered every review, nothing is in doubt.
    write_table(tmp_path / "data/correct/labels.parquet", corrected.assign(provenance="human"))
    stages.doubt.main()
    assert pd.read_parquet(tmp_path / "data/doubt/reviews.parquet").empty
    assert read_json(tmp_path / "data/doubt/counts.json") == {"labels": 0, "doubtful": 0, "read": 0, "shown": 0}
