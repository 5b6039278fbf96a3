"""A student that reads in lower case, and the embedder beside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from datasets import DatasetDict
from transformers import AutoTokenizer

from stages.common.manifest import write_manifest
from stages.embedding.config import Embed
from stages.embedding.cosine import unit
from stages.embedding.embedder import Embedder
from stages.inference.answers import student_probabilities
from stages.inference.classifier import Classifier
from stages.inference.folder import TRAINING, read_tokenizer
from stages.running.io import write_json
from stages.training.config import Train
from stages.training.curves import Curves
from stages.training.encoder import Encoder
from stages.training.learning import Rows, learn_head
from stages.training.student import build_student

SHOUTED, PLAIN = ["КЕДЫ Жмут", "Заказ НЕ ПРИШЁЛ"], ["кеды жмут", "заказ не пришел"]


def test_a_shout_is_a_word_like_others(
    encoders: dict[str, Path], label_names: list[str], train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(train_settings, lowercase=True, prompt="Тема: ")
    _, tokenizer = build_student(encoders["xlm-roberta"], label_names, settings)
    _, cased = build_student(encoders["xlm-roberta"], label_names, dataclasses.replace(settings, lowercase=False))
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    for given in (tokenizer, again):
        # The prompt stays as it is written.
        assert given(SHOUTED)["input_ids"] == cased(PLAIN)["input_ids"]
    assert cased(SHOUTED)["input_ids"] != cased(PLAIN)["input_ids"]


@pytest.mark.parametrize("frozen", [True, False])
def test_what_answers_is_what_learnt(
    frozen: bool, encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(
        train_settings, epochs=0 if frozen else 3, linear_probe=0.1, pooling="mean", lowercase=True, prompt="кеды "
    )
    encoder = Encoder(encoders["bert"], splits["train"].features["label"].names, settings, seed=1)
    assert (encoder.features(SHOUTED) == encoder.features(PLAIN)).all()
    student = tmp_path / "student"
    rows = Rows(splits["train"], splits["validation"], splits["validation"])
    head, _ = learn_head(encoder, rows, settings, Curves(tmp_path / "curves"), bias=True)
    encoder.write_with(head, student)
    if frozen:
        write_json(student / TRAINING, {"means": encoder.means})
        write_manifest(student)
    assert [tokens.ids for tokens in read_tokenizer(student).encode_batch(SHOUTED)] == encoder.ids(PLAIN)
    right = Classifier(student, "cpu").predict_proba(PLAIN, 2)
    for texts in (SHOUTED, PLAIN):
        assert Classifier(student, "cpu").predict_proba(texts, 2) == pytest.approx(right, abs=1e-6)
        assert student_probabilities(student, texts, 2) == pytest.approx(right, abs=2e-3)


def test_the_embedder_reads_as_the_student_does(
    encoders: dict[str, Path], label_names: list[str], train_settings: Train
) -> None:
    settings = dataclasses.replace(
        train_settings, epochs=0, linear_probe=0.1, pooling="mean", lowercase=True, prompt="Тема: "
    )
    embed = Embed(prefix="Тема: ", lowercase=True, pooling="mean", batch_size=2, max_tokens=settings.max_tokens)
    embedded = Embedder(encoders["bert"], embed).embed(SHOUTED)
    assert embedded == pytest.approx(unit(Encoder(encoders["bert"], label_names, settings, 0).features(PLAIN)))
    cased = dataclasses.replace(embed, lowercase=False)
    assert abs(Embedder(encoders["bert"], cased).embed(SHOUTED) - embedded).max() > 0.01
