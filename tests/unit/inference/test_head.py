"""The last layer by itself does what it does in the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stages.inference.folder import read_labels
from stages.inference.head import Head
from stages.running.errors import ModelError


class OneLayer(torch.nn.Module):
    """What the head of a model is found in."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2, bias=bias)
        self.config = SimpleNamespace(num_labels=2)


@pytest.mark.parametrize("bias", [True, False])
def test_a_head_gives_the_logits_of_its_layer(bias: bool) -> None:
    model, inputs = OneLayer(bias), torch.randn(5, 3)
    with torch.no_grad():
        expected = model.layer(inputs).numpy()
    head = Head.of(model)  # type: ignore[arg-type]
    assert head.logits(inputs.numpy()) == pytest.approx(expected, abs=1e-6)
    assert head.scaled(2.0).logits(inputs.numpy()) == pytest.approx(expected / 2, abs=1e-6)
    other = OneLayer(bias)
    replace(head).put_into(other)  # type: ignore[arg-type]
    assert torch.equal(other.layer.weight, model.layer.weight)


def test_a_folder_without_a_student_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no trained student"):
        read_labels(tmp_path)
