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
from transformers import AutoTokenizer, DataCollatorWithPadding, set_seed

from stages.common.config import Train
from stages.modelling.features import head_inputs, last_linear
from stages.modelling.losses import StudentLoss
from stages.modelling.probe import probe_head, probe_logits
from stages.modelling.rows import encode, label_counts
from stages.modelling.student import build_student


@pytest.mark.parametrize("name", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("present", [[0, 1, 2], [0, 2]])
def test_logits_are_those_of_the_regression(
    name: str, present: list[int], encoders: dict[str, Path], splits: DatasetDict, train_settings: Train
) -> None:
    set_seed(3)
    rows = splits["train"].filter(lambda row: row["label"] in present)
    model, tokenizer = build_student(encoders[name], rows.features["label"].names, train_settings)
    encoded = encode(rows, tokenizer, 16, confidence_weighting=False)
    features, labels = head_inputs(model, tokenizer, encoded), np.asarray(rows["label"][:])
    balanced = dataclasses.replace(train_settings.loss, name="weighted_ce", scheme="inverse_frequency")
    loss = StudentLoss(balanced, 0.0, label_counts(rows), rows.features["label"].names)
    objective = probe_head(model, tokenizer, encoded, loss, 0.1)
    assert objective == sorted(objective, reverse=True)

    scaled = StandardScaler().fit_transform(features)
    regression = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000).fit(scaled, labels)
    model.eval()
    with torch.no_grad():
        tokens = encoded.select_columns(["input_ids", "attention_mask"]).to_list()
        logits = model(**DataCollatorWithPadding(tokenizer)(tokens)).logits.numpy()
    if len(present) == 3:
        assert np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) == pytest.approx(
            regression.predict_proba(scaled), abs=1e-3
        )
    assert list(logits.argmax(axis=1)) == list(regression.predict(scaled))
    assert probe_logits(model, tokenizer, encoded) == pytest.approx(logits, abs=1e-5)
    assert model.training is False


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


def test_features_of_the_same_encoder_and_rows_are_computed_once(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train
) -> None:
    names = splits["train"].features["label"].names
    model, tokenizer = build_student(encoders["bert"], names, dataclasses.replace(train_settings, layers=1))
    rows = encode(splits["train"], tokenizer, 16, confidence_weighting=False)
    first = head_inputs(model, tokenizer, rows)
    calls = []
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        last_linear(model).weight.zero_()
    # Another head changes nothing; other rows or another encoder do.
    assert np.array_equal(head_inputs(model, tokenizer, rows), first)
    assert not calls
    assert head_inputs(model, tokenizer, rows.select(range(5))).shape == (5, first.shape[1])
    assert len(calls) == 1
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(2)
    assert not np.allclose(head_inputs(model, tokenizer, rows), first)
    assert len(calls) == 2
