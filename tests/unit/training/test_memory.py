"""What a step keeps, estimated and counted; what recomputing it changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from datasets import DatasetDict
from transformers import TrainerCallback, XLMRobertaConfig, XLMRobertaForSequenceClassification

from stages.running.errors import ConfigError
from stages.training.config import Train
from stages.training.memory import has_room, step_bytes
from tests.unit.training.test_training import run


@pytest.mark.parametrize(("precision", "most"), [("fp32", 1.45), ("bf16", 1.2)])
def test_no_less_than_what_autograd_keeps(precision: str, most: float) -> None:
    config = XLMRobertaConfig(
        vocab_size=50, hidden_size=256, num_hidden_layers=4, num_attention_heads=2, intermediate_size=1024
    )
    model = XLMRobertaForSequenceClassification(config)
    rows, length = 8, 16
    weights = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.randint(5, 50, (rows, length))
    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), half:
        logits = model(ids, attention_mask=torch.ones_like(ids)).logits
    assert logits.grad_fn
    copies = (2 if precision == "bf16" else 0) * sum(parameter.numel() for parameter in model.parameters())
    estimate = step_bytes(model, rows * length, precision) - step_bytes(model, 0, precision)
    counted = sum(kept.values()) - copies
    assert counted < estimate < most * counted


def test_checkpointing_is_chosen_by_what_the_card_has_free(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """XLM-RoBERTa-large, 32 reviews of 256 tokens: 9.4 GiB of weights, 10 of activations."""
    config = XLMRobertaConfig(
        vocab_size=250002, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
        max_position_embeddings=514,
    )  # fmt: skip
    with torch.device("meta"):
        model = XLMRobertaForSequenceClassification(config)
    assert step_bytes(model, 0, "bf16") == 18 * sum(parameter.numel() for parameter in model.parameters())
    layer = 52 * 1024
    kept = step_bytes(model, 1, "bf16") - step_bytes(model, 0, "bf16")
    assert 24 * layer < kept < 1.02 * 24 * layer
    assert has_room(model, 32 * 256, "bf16")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda: 2 * 2**30)
    chosen = {}
    for card, free in {"T4": 12, "L4": 20, "H100": 76}.items():
        monkeypatch.setattr("torch.cuda.mem_get_info", lambda free=free: (free * 2**30, 80 * 2**30))
        chosen[card] = [has_room(model, 32 * tokens, "bf16") for tokens in (58, 256)]
    assert chosen == {"T4": [True, False], "L4": [True, True], "H100": [True, True]}
    with caplog.at_level("INFO"):
        has_room(model, 32 * 256, "bf16")
    assert "gradient checkpointing: off; without, a step takes about 19." in caplog.text


class Full(TrainerCallback):
    """Fails as an allocation does on a card that is full."""

    def on_step_end(self, *arguments: object, **named: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2 GiB")


def test_a_card_that_is_full_is_told_what_would_help(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"4 rows of up to \d tokens have no room; set .*gradient_checkpointing=true"):
        run(encoders["bert"], splits, train_settings, tmp_path, Full())


@pytest.mark.parametrize("pooling", ["model", "mean"])
def test_what_is_computed_twice_comes_out_the_same(
    pooling: str, encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(train_settings, pooling=pooling, epochs=1)
    weights = []
    for checkpointing in (False, True):
        changed = dataclasses.replace(settings, gradient_checkpointing=checkpointing)
        model, _ = run(encoders["bert"], splits, changed, tmp_path / str(checkpointing))
        assert model.is_gradient_checkpointing == checkpointing
        weights.append(model.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-5, atol=1e-6)
