"""The last layer by itself does what it does in the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stages.common.errors import ModelError
from stages.inference.folder import read_labels
from stages.inference.head import Head


@pytest.mark.parametrize("bias", [True, False])
def test_a_head_gives_the_logits_of_its_layer(bias: bool) -> None:
    layer, inputs = torch.nn.Linear(3, 2, bias=bias), torch.randn(5, 3)
    with torch.no_grad():
        expected = layer(inputs).numpy()
    head = Head.of(layer)
    assert head.logits(inputs.numpy()) == pytest.approx(expected, abs=1e-6)
    assert head.scaled(2.0).logits(inputs.numpy()) == pytest.approx(expected / 2, abs=1e-6)
    other = torch.nn.Linear(3, 2, bias=bias)
    replace(head).put_into(other)
    assert torch.equal(other.weight, layer.weight)


def test_a_folder_without_a_student_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no trained student"):
        read_labels(tmp_path)
