"""A language model as a student: what stands around a review, and the token that it would say next."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from datasets import DatasetDict
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from stages.inference.classifier import Classifier
from stages.inference.folder import write_student
from stages.running.errors import ConfigError
from stages.training.config import Train
from stages.training.curves import Curves
from stages.training.encoder import Encoder
from stages.training.learning import Rows, learn_head
from stages.training.student import build_student

PROMPT, SUFFIX = "отзыв: ", "\nкатегория:"


@pytest.fixture
def decoder_settings(train_settings: Train) -> Train:
    """The last token's state, of a review with words around it."""
    return dataclasses.replace(train_settings, pooling="last", prompt=PROMPT, suffix=SUFFIX, max_tokens=60)


@pytest.mark.parametrize("name", ["qwen2", "qwen3"])
def test_an_untrained_student_says_what_the_language_model_would_say_next(
    name: str, encoders: dict[str, Path], label_names: list[str], decoder_settings: Train
) -> None:
    model, tokenizer = build_student(encoders[name], label_names, decoder_settings)
    whole = AutoModelForCausalLM.from_pretrained(encoders[name])
    plain = AutoTokenizer.from_pretrained(encoders[name])
    review = "туфли малы"
    ids = plain(f"{PROMPT}{review}{SUFFIX}", return_tensors="pt")["input_ids"]
    names = [plain(f"{SUFFIX} {label}")["input_ids"][len(plain(SUFFIX)["input_ids"])] for label in label_names]
    batch = tokenizer([review, "кеды"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = whole.eval()(ids).logits[0, -1, names]
        torch.testing.assert_close(model.eval()(**batch).logits[0], expected, rtol=1e-4, atol=1e-5)
    assert expected.softmax(dim=0).max() > 1.01 / 3


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_token_is_none_of_the_padding(
    side: str, encoders: dict[str, Path], label_names: list[str], decoder_settings: Train
) -> None:
    model, tokenizer = build_student(encoders["qwen3"], label_names, decoder_settings)
    tokenizer.padding_side = side
    alone = tokenizer(["кеды"], return_tensors="pt")
    both = tokenizer(["кеды", "заказ шёл долго и не пришёл"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model.eval()(alone["input_ids"]).logits[0]
        torch.testing.assert_close(model(**both).logits[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "pooling"), [("qwen2", "last"), ("qwen3", "last"), ("xlm-roberta", "last")])
def test_a_review_that_is_cut_keeps_what_stands_around_it(
    name: str, pooling: str, encoders: dict[str, Path], label_names: list[str], decoder_settings: Train, tmp_path: Path
) -> None:
    room = 16 if name == "xlm-roberta" else 30
    settings = dataclasses.replace(decoder_settings, pooling=pooling, max_tokens=room)
    plain = AutoTokenizer.from_pretrained(encoders[name])
    before, after = (plain(text, add_special_tokens=False)["input_ids"] for text in (PROMPT.strip(), SUFFIX))
    model, tokenizer = build_student(encoders[name], label_names, settings)
    write_student(model, tokenizer, tmp_path / "student")
    stored = Tokenizer.from_file(str(tmp_path / "student/tokenizer.json"))
    stored.enable_truncation(room)
    loaded = Classifier(tmp_path / "student").tokenizer
    for review in ("кеды", "сапоги малы " * 30):
        ids = tokenizer(review, truncation=True, max_length=room)["input_ids"]
        assert len(ids) == room or review == "кеды"
        assert ids[-len(after) :] == after
        begin = 1 if name == "xlm-roberta" else 0
        assert ids[begin : begin + len(before)] == before
        # As training, transformers and ONNX Runtime's users cut it.
        assert loaded(review, truncation=True)["input_ids"] == ids == stored.encode(review).ids


def test_a_head_is_fitted_to_a_decoder_that_stays_as_it_is(
    encoders: dict[str, Path], splits: DatasetDict, decoder_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(decoder_settings, epochs=0, linear_probe=1.0)
    encoder = Encoder(encoders["qwen3"], splits["train"].features["label"].names, settings, seed=7)
    rows = Rows(splits["train"], splits["validation"], splits["validation"])
    head, result = learn_head(encoder, rows, settings, Curves(tmp_path), bias=encoder.has_bias())
    assert result.macro_f1 > 0.9
    assert head.bias is not None
    # Another suffix is another vector.
    other = Encoder(encoders["qwen3"], encoder.label_names, dataclasses.replace(settings, suffix="\nтовар:"), seed=7)
    assert other.space != encoder.space
    assert abs(other.features(["кеды"]) - encoder.features(["кеды"])).max() > 1e-3


def test_names_that_begin_alike_are_refused_where_their_tokens_would_be_the_head(
    encoders: dict[str, Path], decoder_settings: Train
) -> None:
    names = ["обувь", "одежда", "одежда, верхняя"]
    with pytest.raises(ConfigError, match=r"'одежда' and 'одежда, верхняя' begin with one token; .*linear_probe"):
        build_student(encoders["qwen2"], names, decoder_settings)
    model, _ = build_student(encoders["qwen2"], names, dataclasses.replace(decoder_settings, linear_probe=0.1))
    assert model.config.num_labels == 3


def test_a_suffix_that_grows_together_with_a_name_is_refused(
    encoders: dict[str, Path], label_names: list[str], decoder_settings: Train
) -> None:
    with pytest.raises(ConfigError, match="'обувь' after it have a token in common"):
        build_student(encoders["qwen2"], label_names, dataclasses.replace(decoder_settings, suffix="\nтовар: "))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_tokens": 10}, "train.max_tokens=10 leaves no room beside prompt and suffix, [0-9]+ tokens"),
        ({"pooling": "mean"}, "train.suffix is read by train.pooling=last alone"),
    ],
    ids=["room", "pooling"],
)
def test_settings_that_cannot_be_are_named(
    encoders: dict[str, Path], label_names: list[str], decoder_settings: Train, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_student(encoders["qwen2"], label_names, dataclasses.replace(decoder_settings, **change))  # type: ignore[arg-type]
