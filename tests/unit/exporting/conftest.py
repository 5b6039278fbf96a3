"""Tiny students that are sure of what they say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stages.inference.folder import write_student
from stages.training.config import Lexicon, Train
from stages.training.student import build_student
from tests.students import encoders, label_names, loss_settings, reviews, sandbox, splits, train_settings  # noqa: F401

MakeStudent = Callable[..., Path]


@pytest.fixture
def make_student(
    encoders: dict[str, Path],  # noqa: F811
    label_names: list[str],  # noqa: F811
    train_settings: Train,  # noqa: F811
    tmp_path: Path,
) -> MakeStudent:
    """A function of architecture, pooling, prompt and lexicon that writes a student with large random weights."""

    def make(architecture: str, pooling: str = "mean", prompt: str = "", lexicon: Lexicon | None = None) -> Path:
        torch.manual_seed(1)
        # Bytes take more room than words.
        decoder = {"suffix": "\nтовар:", "max_tokens": 30} if pooling == "last" else {"max_tokens": 12}
        train = dataclasses.replace(train_settings, pooling=pooling, prompt=prompt, lexicon=lexicon, **decoder)  # type: ignore[arg-type]
        model, tokenizer = build_student(encoders[architecture], label_names, train)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(8)
            if lexicon:
                torch.nn.init.uniform_(model.lexicon.weight, 0, 9)
        folder = tmp_path / f"{architecture}-{pooling}"
        write_student(model, tokenizer, folder)
        return folder

    return make
