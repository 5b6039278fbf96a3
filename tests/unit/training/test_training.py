"""Fine-tuning of tiny random students from end to end, and what an interruption may not change."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import DatasetDict
from transformers import (
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    pipeline,
)

from stages.common.manifest import write_manifest
from stages.common.provenances import PROVENANCES
from stages.inference.answers import student_probabilities
from stages.inference.classifier import Classifier
from stages.inference.folder import write_student
from stages.running.errors import ConfigError, DataError, ModelError
from stages.running.io import read_json
from stages.training.checkpoints import last_whole, run_folder, seal
from stages.training.config import Train
from stages.training.curves import Curves
from stages.training.encoder import Encoder
from stages.training.fine_tuning import StudentTrainer
from stages.training.learning import Learning, Rows, learn_all
from stages.training.live_curves import LiveCurves
from stages.training.losses import StudentLoss
from stages.training.rows import encode, label_counts, load_rows, variant_rows
from stages.training.student import build_student, head_parameters


class Interruption(TrainerCallback):
    """Fails after a step, as a killed run does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def run(
    folder: Path, splits: DatasetDict, settings: Train, place: Path, *callbacks: TrainerCallback
) -> tuple[PreTrainedModel, Learning]:
    encoder = Encoder(folder, splits["train"].features["label"].names, settings, seed=7)
    model, tokenizer = encoder.student()
    rows = Rows(splits["train"], splits["validation"], splits["validation"])
    checkpoints, curves = place / "checkpoints", Curves(place / "curves")
    result = learn_all(model, tokenizer, encoder, rows, settings, 7, checkpoints, curves, callbacks=callbacks)
    model.save_pretrained(place / "student")
    tokenizer.save_pretrained(place / "student")
    return model, result


@pytest.mark.parametrize(
    ("name", "pooling"), [("bert", "model"), ("bert", "mean"), ("xlm-roberta", "model"), ("t5", "cls")]
)
def test_a_student_learns_and_loads_in_a_pipeline(
    name: str,
    pooling: str,
    encoders: dict[str, Path],
    splits: DatasetDict,
    reviews: dict[str, list[str]],
    train_settings: Train,
    tmp_path: Path,
) -> None:
    settings = dataclasses.replace(train_settings, epochs=12, gradient_checkpointing=True, pooling=pooling)
    model, result = run(encoders[name], splits, settings, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "student")
    assert result.macro_f1 > 0.8
    classify = pipeline("text-classification", str(tmp_path / "student"), device="cpu")
    texts = [texts[0] for texts in reviews.values()]
    assert [answer["label"] for answer in classify(texts)] == list(reviews)
    assert classify.model.config.label2id == {label: index for index, label in enumerate(reviews)}
    write_student(model, tokenizer, tmp_path / "stored")
    probabilities = Classifier(tmp_path / "stored").predict_proba(texts, 2)
    assert [answer["score"] for answer in classify(texts)] == pytest.approx(probabilities.max(axis=1), abs=2e-3)
    assert not list((tmp_path / "student").glob("*.bin"))
    own_code = ["lexicon.py", "sentence_classifier.py", "static_encoder.py"]
    assert sorted(path.name for path in (tmp_path / "student").glob("*.py")) == own_code * (pooling != "model")
    assert {path.name for path in (tmp_path / "curves").iterdir()} == {"metrics.json", "plots"}


def test_the_mean_leaves_padding_out(encoders: dict[str, Path], label_names: list[str], train_settings: Train) -> None:
    model, tokenizer = build_student(encoders["bert"], label_names, dataclasses.replace(train_settings, pooling="mean"))
    model.eval()
    short = tokenizer(["кеды"], return_tensors="pt")
    both = tokenizer(["кеды", "заказ шёл долго"], padding=True, return_tensors="pt")
    with torch.no_grad():
        vectors = AutoModel.from_pretrained(encoders["bert"])(**short).last_hidden_state[0]
        expected = model.classifier(vectors.mean(dim=0))
        assert model(**both).logits[0].numpy() == pytest.approx(expected.numpy(), abs=1e-5)
        assert model(short["input_ids"]).logits[0].numpy() == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize(("name", "pooling"), [("bert", "mean"), pytest.param("t5", "cls", marks=pytest.mark.slow)])
def test_a_student_of_our_own_architecture_loads_where_this_package_is_not(
    name: str, pooling: str, encoders: dict[str, Path], label_names: list[str], train_settings: Train, tmp_path: Path
) -> None:
    model, tokenizer = build_student(encoders[name], label_names, dataclasses.replace(train_settings, pooling=pooling))
    write_student(model, tokenizer, tmp_path / "student")
    expected = student_probabilities(tmp_path / "student", ["кеды жмут"], 1)
    command = (
        "import sys; from transformers import pipeline; "
        "classify = pipeline('text-classification', 'student', trust_remote_code=sys.argv[1] == 'yes' or None); "
        "print(classify('кеды жмут')[0]['score'])"
    )
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}

    def elsewhere(trust: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-c", command, trust], cwd=tmp_path, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert float(elsewhere("yes").stdout) == pytest.approx(expected.max(), abs=1e-5)
    # Without leave to run its code it is refused, not loaded as something else.
    assert "trust_remote_code=True" in elsewhere("no").stderr


@pytest.mark.parametrize("linear_probe", [None, 0.1])
def test_a_resumed_run_ends_as_an_uninterrupted_one(
    linear_probe: float | None,
    encoders: dict[str, Path],
    splits: DatasetDict,
    train_settings: Train,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    train_settings = dataclasses.replace(train_settings, linear_probe=linear_probe)
    straight, expected = run(encoders["bert"], splits, train_settings, tmp_path / "straight")
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        run(encoders["bert"], splits, train_settings, broken, Interruption(step=24))
    # The kill may also come while a checkpoint is being written.
    (broken / "checkpoints" / "checkpoint-999").mkdir()
    with caplog.at_level("INFO"):
        resumed, result = run(encoders["bert"], splits, train_settings, broken)
    assert result.resumed_from_epoch == 2
    assert any(re.fullmatch(r"train: \d+ steps, [1-9]\d* known", message) for message in caplog.messages)
    assert (result.best_epoch, result.macro_f1) == (expected.best_epoch, expected.macro_f1)
    for name, weights in straight.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name]), name
    curves = "curves/plots/metrics/train/loss.tsv"
    assert (broken / curves).read_text() == (tmp_path / "straight" / curves).read_text()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    """As a file may be after a power cut: of its size, and without its end."""
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2] + bytes(size - size // 2))


@pytest.mark.parametrize("damage", [cut, zero, Path.unlink])
@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.pt", "trainer_state.json", "config.json", "seal.json"]
)
def test_a_damaged_checkpoint_is_left_behind(
    name: str,
    damage: Callable[[Path], None],
    encoders: dict[str, Path],
    splits: DatasetDict,
    train_settings: Train,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(encoders["bert"], splits, train_settings, tmp_path, Interruption(step=24))
    newest = last_whole(tmp_path / "checkpoints")
    assert newest is not None
    damage(newest / name)
    before = last_whole(tmp_path / "checkpoints")
    assert before != newest
    assert not newest.exists()
    assert any(f"{newest} is incomplete or damaged" in message for message in caplog.messages)
    _, result = run(encoders["bert"], splits, train_settings, tmp_path)
    assert result.resumed_from_epoch < 2
    assert last_whole(tmp_path / "checkpoints") is not None


def test_without_its_best_epoch_a_later_checkpoint_is_worth_nothing(tmp_path: Path) -> None:
    for step, best in ((1, 1), (2, 2), (3, 2), (4, 4)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(f'{{"best_model_checkpoint": "/moved/checkpoint-{best}"}}')
        (folder / "model.safetensors").write_bytes(b"weights")
        seal(folder)
    cut(tmp_path / "checkpoint-2/model.safetensors")
    assert last_whole(tmp_path) == tmp_path / "checkpoint-4"
    cut(tmp_path / "checkpoint-4/model.safetensors")
    assert last_whole(tmp_path) == tmp_path / "checkpoint-1"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


def test_curves_need_no_commit_and_leave_git_alone(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    state, control = TrainerState(log_history=[{"loss": 2.0, "step": 1}]), TrainerControl()
    curves = LiveCurves(Curves(tmp_path / "curves"))
    curves.on_train_begin(TrainingArguments(str(tmp_path)), state, control)
    state.global_step = 2
    curves.on_log(TrainingArguments(str(tmp_path)), state, control, logs={"loss": 1.0, "grad_norm": 5.0})
    points = (tmp_path / "curves/plots/metrics/train/loss.tsv").read_text().split()
    assert points == ["step", "loss", "1", "2.0", "2", "1.0"]
    assert {path.name for path in tmp_path.iterdir()} == {".git", ".dvc", "curves"}
    assert not (tmp_path / ".git/index").exists()


def test_a_run_killed_after_its_last_epoch_only_finishes(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    first, expected = run(encoders["bert"], splits, train_settings, tmp_path)
    again, result = run(encoders["bert"], splits, train_settings, tmp_path, Interruption(step=1))
    assert (result.best_epoch, result.macro_f1) == (expected.best_epoch, expected.macro_f1)
    assert all(torch.equal(weights, again.state_dict()[name]) for name, weights in first.state_dict().items())


def test_only_equal_runs_share_checkpoints(splits: DatasetDict) -> None:
    rows = splits["train"]
    folder = run_folder({"seed": 1}, rows)
    assert folder == run_folder({"seed": 1}, rows)
    others = [run_folder({"seed": 2}, rows), run_folder({"seed": 1}, rows.select(range(5)))]
    assert folder not in others
    assert last_whole(folder) is None


def test_head_learns_faster_and_norms_and_biases_do_not_decay(
    encoders: dict[str, Path], label_names: list[str], train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(train_settings, frozen_embeddings=True, layers=1)
    model, _ = build_student(encoders["bert"], label_names, settings)
    assert model.config.num_hidden_layers == 1
    assert head_parameters(model) == {
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    }
    trainer = StudentTrainer(
        loss=StudentLoss(settings.loss, 0.0, [1, 1, 1], label_names),
        head_learning_rate=0.01,
        model=model,
        args=TrainingArguments(str(tmp_path), learning_rate=0.005, weight_decay=0.1, report_to="none"),
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    seen = set()
    for group in trainer.create_optimizer().param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.add(name)
            assert group["lr"] == (0.01 if name in head_parameters(model) else 0.005), name
            assert (group["weight_decay"] == 0) == ("bias" in name or "LayerNorm" in name), name
    assert set(names.values()) - seen == {"bert.embeddings.word_embeddings.weight"}


@pytest.mark.parametrize("name", ["bert", "xlm-roberta", "gemma3"])
def test_an_encoder_is_cut_down_to_its_first_layers(
    name: str, encoders: dict[str, Path], label_names: list[str], train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(train_settings, layers=1, pooling="mean")
    model, tokenizer = build_student(encoders[name], label_names, settings)
    whole = AutoModel.from_pretrained(encoders[name])
    batch = tokenizer(["кеды малы"], return_tensors="pt")
    seen: list[torch.Tensor] = []
    inner = model.encoder.layers if name == "gemma3" else model.encoder.encoder.layer
    theirs = whole.layers if name == "gemma3" else whole.encoder.layer
    assert (len(inner), len(theirs)) == (1, 2)
    for layer in (inner[0], theirs[0]):
        layer.register_forward_hook(
            lambda _, __, output: seen.append(output[0] if isinstance(output, tuple) else output)
        )
    with torch.no_grad():
        model.train(False)(**batch)
        whole(**batch)
    torch.testing.assert_close(seen[0], seen[1])
    write_student(model, tokenizer, tmp_path / "student")
    assert Classifier(tmp_path / "student").predict_proba(["кеды малы"], 1).shape == (1, 3)


def test_variants_are_cumulative(splits: DatasetDict) -> None:
    sizes = {variant: len(variant_rows(splits["train"], variant)) for variant in PROVENANCES}
    assert sizes == {"real": 36, "written": 36, "human": 36, "base": 37, "paraphrase": 37, "style": 38}
    assert label_counts(variant_rows(splits["train"], "style")) == [14, 12, 12]


def test_confidence_weighting_multiplies_the_row_weight(
    encoders: dict[str, Path], label_names: list[str], splits: DatasetDict, train_settings: Train
) -> None:
    _, tokenizer = build_student(encoders["bert"], label_names, train_settings)
    encoded = encode(splits["validation"], tokenizer, max_tokens=8, confidence_weighting=True)
    assert encoded["weights"][:] == pytest.approx([0.8] * len(encoded))
    assert max(map(len, encoded["input_ids"])) <= 8


@pytest.mark.parametrize(
    ("change", "message"), [({"layers": 3}, "layers=3.*2 layers"), ({"max_tokens": 99}, "16 at most")]
)
def test_settings_beyond_the_model_are_named(
    encoders: dict[str, Path], label_names: list[str], train_settings: Train, change: dict[str, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_student(encoders["bert"], label_names, dataclasses.replace(train_settings, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "model"}, r"train.pooling=model: .* would need a decoder; train.pooling=mean, or cls, needs none"),
        ({"pooling": "cls", "precision": "fp16"}, r"train.precision=fp16: .* is a T5, which overflows in it; bf16 or"),
    ],
    ids=["transformers' own classifier", "float16"],
)
def test_what_a_t5_encoder_cannot_be_is_refused(
    encoders: dict[str, Path], label_names: list[str], train_settings: Train, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_student(encoders["t5"], label_names, dataclasses.replace(train_settings, **change))


@pytest.fixture
def computes_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    def processor(native: bool) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: native)
        monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)

    return processor


@pytest.mark.parametrize(
    ("precision", "native", "needs"),
    [
        ("fp16", True, "a graphics card; use"),
        ("bf16", False, "a graphics card, or a processor with AVX512-BF16 or AMX"),
    ],
)
def test_half_precision_is_not_emulated(
    encoders: dict[str, Path],
    splits: DatasetDict,
    train_settings: Train,
    tmp_path: Path,
    computes_in_bfloat16: Callable[[bool], None],
    precision: str,
    native: bool,
    needs: str,
) -> None:
    computes_in_bfloat16(native)
    with pytest.raises(ConfigError, match=f"train.precision={precision} needs {needs}"):
        run(encoders["bert"], splits, dataclasses.replace(train_settings, precision=precision), tmp_path)


def test_a_processor_learns_in_bfloat16(
    encoders: dict[str, Path],
    splits: DatasetDict,
    train_settings: Train,
    tmp_path: Path,
    computes_in_bfloat16: Callable[[bool], None],
) -> None:
    computes_in_bfloat16(True)
    settings = dataclasses.replace(train_settings, epochs=12, precision="bf16")
    computed: set[torch.dtype] = set()

    class Watching(TrainerCallback):
        def on_train_begin(self, *_: Any, model: torch.nn.Module, **__: Any) -> None:
            linear = next(layer for layer in model.modules() if isinstance(layer, torch.nn.Linear))
            linear.register_forward_hook(lambda _, __, output: computed.add(output.dtype))

    model, result = run(encoders["bert"], splits, settings, tmp_path, Watching())
    assert computed == {torch.bfloat16}
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}
    assert result.macro_f1 > 0.8


def test_missing_inputs_are_named(
    tmp_path: Path, label_names: list[str], splits: DatasetDict, train_settings: Train
) -> None:
    with pytest.raises(ModelError, match="dvc repro models"):
        Encoder(tmp_path, label_names, train_settings, seed=7)
    with pytest.raises(DataError, match="dvc repro dataset"):
        load_rows(tmp_path, "train", label_names)
    splits["train"].to_parquet(str(tmp_path / "train.parquet"))
    write_manifest(tmp_path)
    assert load_rows(tmp_path, "train", label_names).features["label"].names == label_names
    with pytest.raises(DataError, match="not those of labels"):
        load_rows(tmp_path, "train", label_names[::-1])


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "float32"), ("bf16", "bfloat16")])
def test_a_student_is_stored_for_the_arithmetic_it_was_trained_in(
    precision: str, dtype: str, encoders: dict[str, Path], train_settings: Train, label_names: list[str], tmp_path: Path
) -> None:
    model, tokenizer = build_student(next(iter(encoders.values())), label_names, train_settings)
    write_student(model, tokenizer, tmp_path / "student", precision)
    assert read_json(tmp_path / "student/config.json")["dtype"] == dtype
    # A processor without a graphics card computes in single precision whatever the student was trained in.
    assert Classifier(tmp_path / "student").model.dtype == torch.float32
