"""The measurement of a graphics card, tried on two small layers without one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import train_card


@pytest.mark.skipif(torch.cuda.is_available(), reason="a graphics card is here")
@pytest.mark.slow
def test_steps_and_answers_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_card, "WARM_UP", 0)
    monkeypatch.setenv("RAZMETKA_CACHE", str(tmp_path / "cache"))
    output = tmp_path / "card.json"
    monkeypatch.setattr(sys, "argv", ["train_card", "--tiny", "--steps", "1", "--output", str(output)])
    train_card.main()
    measured = json.loads(output.read_text())
    assert [(step["lengths"], step["gradient_checkpointing"]) for step in measured["train"]] == [
        ("real", False),
        ("real", True),
        ("longest", False),
        ("longest", True),
    ]
    tokens = [step["padded_tokens"] for step in measured["train"]]
    # Every other review is shorter than the average, and a batch as wide as its longest one.
    assert 32 * train_card.AVERAGE / 2 < tokens[0] == tokens[1] < tokens[2] == tokens[3] == 32 * train_card.LONGEST
    assert all(step["ms"] > 0 and step["texts_per_second"] > 0 for step in measured["train"])
    assert measured["answer"][0]["single_ms"] > 0
