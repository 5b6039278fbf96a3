"""What an encoder gives is computed once for a text, whoever asks."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.inference import features
from stages.inference.features import last_linear
from stages.training import encoder
from stages.training.config import Train
from stages.training.encoder import Encoder


def test_a_text_goes_through_an_encoder_once(
    encoders: dict[str, Path],
    label_names: list[str],
    reviews: dict[str, list[str]],
    train_settings: Train,
    tmp_path: Path,
) -> None:
    texts = [text for some in reviews.values() for text in some]
    learner = Encoder(encoders["bert"], label_names, train_settings, seed=7)
    model, _ = learner.student()
    calls: list[int] = []
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    first = learner.features(texts)
    assert first.shape == (len(texts), 32)
    assert len(calls) == len(texts)
    with torch.no_grad():
        last_linear(model).weight.zero_()
    # Another head changes nothing, and neither do other rows, another order, or a text that stands there twice.
    other = Encoder(encoders["bert"], label_names[::-1], train_settings, seed=7)
    assert np.array_equal(other.features([texts[3], texts[0], texts[3]]), first[[3, 0, 3]])
    assert "_student" not in vars(other), "a student was loaded though every text is known"
    # A new text is the only one to be computed, and gets what it would get by itself.
    more = learner.features([*texts, "кеды супер малы"])
    assert len(calls) == len(texts) + 1
    assert np.array_equal(more[:-1], first)
    # Other weights in a folder of the same name are another encoder.
    changed = shutil.copytree(encoders["bert"], tmp_path / "changed")
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(2)
    model.base_model.save_pretrained(changed)
    assert not np.allclose(Encoder(changed, label_names, train_settings, seed=7).features(texts), first)


@pytest.mark.parametrize("file", [*encoder.ARCHITECTURE, Path(features.__file__)], ids=lambda file: file.name)
def test_an_edit_to_the_code_of_the_encoder_computes_anew(
    file: Path,
    encoders: dict[str, Path],
    label_names: list[str],
    train_settings: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Encoder(encoders["bert"], label_names, train_settings, seed=7).features(["кеды"])
    edited = tmp_path / file.name
    edited.write_text(file.read_text() + "# edited\n")
    names = [edited if path == file else path for path in encoder.ARCHITECTURE]
    monkeypatch.setattr(encoder, "ARCHITECTURE", names)
    if file == Path(features.__file__):
        monkeypatch.setattr(features, "__file__", str(edited))
    again = Encoder(encoders["bert"], label_names, train_settings, seed=7)
    again.features(["кеды"])
    assert "_student" in vars(again), "the vectors of the former code were taken"


@pytest.mark.parametrize(
    "change", [{"prompt": "тема: "}, {"layers": 1}, {"max_tokens": 4}, {"pooling": "mean"}], ids=lambda c: next(iter(c))
)
def test_whatever_changes_the_features_changes_the_space(
    change: dict[str, object], encoders: dict[str, Path], label_names: list[str], train_settings: Train
) -> None:
    def space(settings: Train, seed: int = 7, name: str = "bert") -> str:
        return Encoder(encoders[name], label_names, settings, seed).space

    here = space(train_settings)
    assert space(dataclasses.replace(train_settings, **change)) != here  # type: ignore[arg-type]
    assert space(train_settings, name="xlm-roberta") != here
    # A head of two layers starts from random weights, the average of all tokens does not.
    assert space(train_settings, seed=8) != here
    mean = dataclasses.replace(train_settings, pooling="mean")
    assert space(mean, seed=8) == space(mean)
    assert space(dataclasses.replace(train_settings, epochs=9)) == here
