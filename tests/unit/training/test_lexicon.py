"""A lexicon against scikit-learn's TF-IDF and regression, and beside an encoder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer

from stages.inference.answers import student_probabilities
from stages.inference.classifier import Classifier
from stages.inference.folder import read_head, read_tokenizer, write_like, write_student
from stages.inference.head import Head
from stages.training.config import Lexicon, Train
from stages.training.curves import Curves
from stages.training.encoder import Encoder
from stages.training.learning import Rows, learn_head
from stages.training.lexicon import with_lexicon
from stages.training.losses import StudentLoss
from stages.training.rows import label_counts, targets
from tests.unit.training.test_training import run

SETTINGS = Lexicon(weight=0.5, regularisation=3.0)
# Of one feature, which tells nothing.
SILENT = Head(torch.zeros(3, 1), torch.zeros(3))


def test_it_is_the_regression_on_weighted_tokens(splits: DatasetDict, train_settings: Train) -> None:
    rows = splits["train"]
    # Token 0 stands in every text.
    vocabulary = {word: number for number, word in enumerate(sorted({w for t in rows["text"] for w in t.split()}), 1)}
    ids = [[0, *(vocabulary[word] for word in text.split())] for text in rows["text"]]
    loss = StudentLoss(
        dataclasses.replace(train_settings.loss, scheme="none"), 0.0, label_counts(rows), ["a", "b", "c"]
    )
    head = with_lexicon(SILENT, ids, 50, targets(rows), loss, SETTINGS)
    assert head.lexicon is not None
    assert not head.lexicon[0].any()
    assert not head.lexicon[len(vocabulary) + 1 :].any()

    vectorizer = TfidfVectorizer(vocabulary=sorted(vocabulary), smooth_idf=False, token_pattern=r"\S+")
    # scikit-learn adds 1 to every logarithm.
    vectorizer.fit(rows["text"])
    vectorizer.idf_ = vectorizer.idf_ - 1
    inputs = vectorizer.transform(rows["text"])
    regression = LogisticRegression(C=SETTINGS.regularisation, max_iter=1000).fit(inputs, rows["label"])
    expected = 0.5 * regression.decision_function(inputs)
    given = head.logits(np.zeros((len(ids), 1), dtype=np.float32), ids)
    assert softmax(given, axis=1) == pytest.approx(softmax(expected, axis=1), abs=2e-3)


def test_a_text_of_unknown_tokens_is_left_to_the_encoder(splits: DatasetDict, train_settings: Train) -> None:
    rows = splits["train"]
    loss = StudentLoss(train_settings.loss, 0.0, label_counts(rows), ["a", "b", "c"])
    head = with_lexicon(SILENT, [[7, 8]] * (len(rows) - 1) + [[7, 9]], 20, targets(rows), loss, SETTINGS)
    given = head.logits(np.zeros((2, 1), dtype=np.float32), [[15, 16], []])
    assert head.bias is not None
    assert given == pytest.approx(np.stack([head.bias.numpy()] * 2))
    assert head.logits(np.zeros((0, 1), dtype=np.float32), []).shape == (0, 3)


def test_a_student_reads_it_as_its_head_does(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(
        train_settings, epochs=0, linear_probe=0.1, pooling="mean", lexicon=SETTINGS, prompt="кеды "
    )
    encoder = Encoder(encoders["bert"], splits["train"].features["label"].names, settings, seed=1)
    rows = Rows(splits["train"], splits["validation"], splits["validation"])
    head, learnt = learn_head(encoder, rows, settings, Curves(tmp_path / "curves"), bias=True)
    assert learnt.temperature != 1
    student = tmp_path / "student"
    encoder.write_with(head, student)
    # What fits, and what is cut.
    texts = ["платье село", "сапоги малы", "", " ".join(["долго"] * 9)]
    ids = [tokens.ids for tokens in read_tokenizer(student).encode_batch(texts)]
    assert ids[:2] == encoder.ids(texts[:2])
    assert max(map(len, ids)) == settings.max_tokens
    classifier = Classifier(student, "cpu")
    right = classifier.predict_proba(texts, 4)
    assert student_probabilities(student, texts, 4) == pytest.approx(right, abs=2e-3)
    silent = dataclasses.replace(head, lexicon=torch.zeros_like(head.lexicon))
    write_like(student, silent, tmp_path / "silent")
    found = read_head(tmp_path / "silent").lexicon
    assert found is not None
    assert not found.any()
    assert np.abs(Classifier(tmp_path / "silent", "cpu").predict_proba(texts, 4) - right).max() > 0.01


def test_it_comes_after_the_epochs(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(train_settings, pooling="mean", temperature_scaling=False, lexicon=SETTINGS)
    mute = dataclasses.replace(settings, lexicon=dataclasses.replace(SETTINGS, weight=1e-9))
    loud, silent = (
        run(encoders["bert"], splits, some, tmp_path / name)[0].state_dict()
        for name, some in (("loud", settings), ("silent", mute))
    )
    different = {name for name, value in loud.items() if not torch.equal(silent[name], value)}
    # The regression's own bias goes into the head's.
    assert different == {"lexicon.weight", "classifier.bias"}


def test_half_precision_holds_it(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(train_settings, epochs=1, pooling="mean", lexicon=SETTINGS)
    model, _ = run(encoders["bert"], splits, settings, tmp_path)
    before = Head.of(model).lexicon
    write_student(model, AutoTokenizer.from_pretrained(tmp_path / "student"), tmp_path / "stored")
    after = read_head(tmp_path / "stored").lexicon
    assert before is not None
    assert after is not None
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
