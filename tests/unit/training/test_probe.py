"""The linear probe against scikit-learn's own answers on the same features."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers import AutoTokenizer

from stages.training.config import Train
from stages.training.encoder import Encoder
from stages.training.losses import StudentLoss
from stages.training.probe import fit_head
from stages.training.rows import label_counts, targets
from stages.training.student import build_student


@pytest.mark.parametrize("name", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("present", [[0, 1, 2], [0, 2]])
def test_logits_are_those_of_the_regression(
    name: str, present: list[int], encoders: dict[str, Path], splits: DatasetDict, train_settings: Train
) -> None:
    rows = splits["train"].filter(lambda row: row["label"] in present)
    names = rows.features["label"].names
    encoder = Encoder(encoders[name], names, train_settings, seed=3)
    model, tokenizer = encoder.student()
    features, labels = encoder.features(rows["text"][:]), np.asarray(rows["label"][:])
    balanced = dataclasses.replace(train_settings.loss, name="weighted_ce", scheme="inverse_frequency")
    loss = StudentLoss(balanced, 0.0, label_counts(rows), names)
    head, objective = fit_head(features, targets(rows), loss, 0.1, bias=encoder.has_bias())
    assert objective == sorted(objective, reverse=True)
    head.put_into(model)

    scaled = StandardScaler().fit_transform(features)
    regression = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000).fit(scaled, labels)
    model.eval()
    with torch.no_grad():
        logits = model(**tokenizer(rows["text"][:], padding=True, return_tensors="pt")).logits.numpy()
    if len(present) == 3:
        assert np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) == pytest.approx(
            regression.predict_proba(scaled), abs=1e-3
        )
    assert list(logits.argmax(axis=1)) == list(regression.predict(scaled))
    assert head.logits(features) == pytest.approx(logits, abs=1e-3)
    assert head.scaled(2.0).logits(features) == pytest.approx(logits / 2, abs=1e-3)


def test_prompt_stands_before_every_text_and_is_saved(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    names = splits["train"].features["label"].names
    _, plain = build_student(encoders["xlm-roberta"], names, train_settings)
    _, tokenizer = build_student(encoders["xlm-roberta"], names, dataclasses.replace(train_settings, prompt="тема: "))
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again(["кофта", "чайник"])["input_ids"] == plain(["тема: кофта", "тема: чайник"])["input_ids"]
    assert again("кофта")["input_ids"] != plain("кофта")["input_ids"]
