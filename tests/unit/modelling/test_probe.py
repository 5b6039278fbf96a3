"""The linear probe against scikit-learn's own answers on the same features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers import DataCollatorWithPadding, set_seed

from stages.common.config import Train
from stages.modelling.probe import head_inputs, probe_head
from stages.modelling.rows import encode
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
    probe_head(model, tokenizer, encoded, 0.1)

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
    assert model.training is False


def test_one_class_leaves_the_head_as_it_is(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train
) -> None:
    model, tokenizer = build_student(encoders["bert"], splits["train"].features["label"].names, train_settings)
    before = model.classifier.weight.clone()
    rows = splits["train"].filter(lambda row: row["label"] == 0)
    probe_head(model, tokenizer, encode(rows, tokenizer, 16, confidence_weighting=False), 0.1)
    assert torch.equal(before, model.classifier.weight)
