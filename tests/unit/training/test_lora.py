"""Low-rank updates: what they change, what they leave, and that nobody after them has to know of them."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from datasets import DatasetDict

from stages.running.errors import ConfigError
from stages.training.checkpoints import last_whole
from stages.training.config import Lora, Train
from stages.training.lora import add_updates
from stages.training.student import build_student, head_parameters
from tests.unit.training.test_processes import learn, moved, still  # noqa: F401
from tests.unit.training.test_training import Interruption, run

LORA = Lora(rank=4, alpha=8, dropout=0.0, targets=None)
POOLINGS = {"bert": "model", "xlm-roberta": "mean", "gemma3": "mean", "t5": "cls", "qwen2": "last", "qwen3": "last"}


@pytest.mark.parametrize(("name", "pooling"), POOLINGS.items())
def test_merged_updates_say_what_they_said_beside_the_weights(
    name: str, pooling: str, encoders: dict[str, Path], label_names: list[str], train_settings: Train
) -> None:
    model, tokenizer = build_student(encoders[name], label_names, dataclasses.replace(train_settings, pooling=pooling))
    model.eval()
    before = copy.deepcopy(model.state_dict())
    trained_whole = head_parameters(model)
    batch = tokenizer(["кеды жмут", "заказ шёл долго"], padding=True, return_tensors="pt")
    with torch.no_grad():
        as_it_was = model(**batch).logits
        updates = add_updates(model, LORA)
        assert torch.equal(model(**batch).logits, as_it_was)
        trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
        low_rank = {key: value for key, value in trained.items() if "lora_" in key}
        assert set(trained) - set(low_rank) == trained_whole
        for update in low_rank.values():
            update.normal_(std=0.2)
        learnt = model(**batch).logits
        updates.merge_and_unload()
        assert not torch.allclose(learnt, as_it_was, atol=1e-2)
        torch.testing.assert_close(model(**batch).logits, learnt, rtol=1e-4, atol=1e-4)
    after = model.state_dict()
    assert list(after) == list(before)
    changed = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert len(changed) == len(low_rank) / 2
    assert not changed & trained_whole


def test_only_layers_of_the_names_that_are_given_are_updated(
    encoders: dict[str, Path], label_names: list[str], train_settings: Train
) -> None:
    settings = dataclasses.replace(train_settings, pooling="last")
    model, _ = build_student(encoders["qwen3"], label_names, settings)
    with pytest.raises(ConfigError, match=r"lora.targets: no linear layer is called 'query'; there are \['down_proj'"):
        add_updates(model, dataclasses.replace(LORA, targets=["query"]))
    add_updates(model, dataclasses.replace(LORA, targets=["q_proj", "v_proj"]))
    updated = {key.split(".lora_")[0].rsplit(".", 1)[-1] for key, _ in model.named_parameters() if ".lora_" in key}
    assert updated == {"q_proj", "v_proj"}


@pytest.mark.parametrize(("name", "pooling"), [("xlm-roberta", "mean"), ("qwen2", "last")])
def test_an_interrupted_training_goes_on_from_checkpoints_of_what_is_trained(
    name: str, pooling: str, encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    lora = dataclasses.replace(LORA, dropout=0.1)
    settings = dataclasses.replace(train_settings, lora=lora, pooling=pooling, learning_rate=0.01)
    straight, expected = run(encoders[name], splits, settings, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        run(encoders[name], splits, settings, tmp_path / "broken", Interruption(step=24))
    newest = last_whole(tmp_path / "broken/checkpoints")
    assert newest is not None
    assert (newest / "model.safetensors").stat().st_size < (encoders[name] / "model.safetensors").stat().st_size / 2
    resumed, result = run(encoders[name], splits, settings, tmp_path / "broken")
    assert result.resumed_from_epoch == 2
    assert (result.best_epoch, result.macro_f1) == (expected.best_epoch, expected.macro_f1)
    assert result.best_epoch > 0
    for key, weights in straight.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[key]), key


@pytest.mark.slow
def test_two_processes_learn_what_one_does(
    still: Path,  # noqa: F811
    splits: DatasetDict,
    train_settings: Train,
    tmp_path: Path,
) -> None:
    settings = dataclasses.replace(train_settings, lora=LORA, linear_probe=None, learning_rate=0.003)
    alone, one = learn(still, splits, settings, tmp_path / "one")
    together, two = learn(still, splits, dataclasses.replace(settings, processes=2), tmp_path / "two")
    assert (two.best_epoch, two.macro_f1) == (one.best_epoch, one.macro_f1)
    assert one.best_epoch > 0
    # By more than the two may differ.
    assert moved(alone, still, splits, settings) > 1e-3
    for name, weights in alone.items():
        torch.testing.assert_close(together[name], weights, rtol=0.01, atol=1e-3)


def test_a_collapse_leaves_the_probe_on_the_encoder_as_it_was(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(
        train_settings, lora=LORA, pooling="last", linear_probe=1.0, learning_rate=10.0, head_learning_rate=3.0
    )
    model, result = run(encoders["qwen3"], splits, settings, tmp_path)
    assert result.best_epoch == 0
    before, _ = build_student(encoders["qwen3"], splits["train"].features["label"].names, settings)
    for name, weights in before.encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], weights), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 0}, "lora.rank must be at least 1"),
        ({"dropout": 1.0}, "lora.dropout=1.0 is not within"),
        ({"targets": []}, "null stands for all"),
    ],
    ids=["rank", "dropout", "targets"],
)
def test_what_no_update_can_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(LORA, **change)  # type: ignore[arg-type]


def test_an_encoder_that_stays_as_it_is_takes_no_updates(train_settings: Train) -> None:
    with pytest.raises(ConfigError, match=r"train\.epochs=0 trains no train\.lora"):
        dataclasses.replace(train_settings, epochs=0, linear_probe=0.1, lora=LORA)
