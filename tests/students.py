"""Tiny random students over words of Russian reviews, and a tiny dataset they can learn."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Sequence, Value
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    Gemma3TextConfig,
    Gemma3TextModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from stages.training.config import Loss, Train

LABELS = ["обувь", "одежда", "нет товара"]
REVIEWS = {
    "обувь": ["туфли малы", "кеды жмут", "туфли хорошие", "сапоги промокли", "кеды супер", "сапоги малы"],
    "одежда": ["платье село", "кофта хорошая", "платье супер", "юбка мала", "кофта села", "юбка хорошая"],
    "нет товара": [
        "заказ не пришёл",
        "продавец хороший",
        "деньги вернули",
        "заказ шёл долго",
        "продавец супер",
        "долго",
    ],
}
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


@pytest.fixture(autouse=True)
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work and cache in `tmp_path`, on one thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAZMETKA_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a random BERT without pooler (as e5 is), XLM-R, EmbeddingGemma, T5 encoder, Qwen2 and Qwen3, by name.

    The last two are language models: one has an LM head of its own, and one that is its table of words.
    """
    words = sorted({word for texts in REVIEWS.values() for text in texts for word in text.split()})
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *words])}
    rules = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    rules.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=rules,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=16,
        model_input_names=["input_ids", "attention_mask"],
    )
    size: dict[str, Any] = {
        "vocab_size": len(vocabulary),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 20,
        "type_vocab_size": 1,
        "pad_token_id": 1,
    }
    # Heads share keys and values; a token sees those next to it alone, or all.
    gemma: dict[str, Any] = {
        "num_key_value_heads": 1,
        "head_dim": 16,
        "use_bidirectional_attention": True,
        "layer_types": ["sliding_attention", "full_attention"],
        "sliding_window": 4,
    }
    t5 = T5Config(
        vocab_size=len(vocabulary), d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2,
        feed_forward_proj="gated-gelu", pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    folders = {}
    for name, model in (
        ("bert", BertModel(BertConfig(**size), add_pooling_layer=False)),  # type: ignore[no-untyped-call]
        ("xlm-roberta", XLMRobertaModel(XLMRobertaConfig(**size), add_pooling_layer=False)),  # type: ignore[no-untyped-call]
        ("gemma3", Gemma3TextModel(Gemma3TextConfig(**size, **gemma))),
        ("t5", T5EncoderModel(t5)),
    ):
        folders[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
    pieces = byte_pairs([*LABELS, *words])
    decoder = {**size, "vocab_size": len(pieces), "max_position_embeddings": 64, "num_key_value_heads": 1}
    for name, model in (
        ("qwen2", Qwen2ForCausalLM(Qwen2Config(**decoder, tie_word_embeddings=True))),
        ("qwen3", Qwen3ForCausalLM(Qwen3Config(**decoder, tie_word_embeddings=False, head_dim=16))),
    ):
        folders[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(folders[name])
        pieces.save_pretrained(folders[name])
    return folders


def byte_pairs(texts: list[str]) -> PreTrainedTokenizerFast:
    """A tokenizer as Qwen's: pairs of bytes, of which a word of `texts` is one or two, and nothing around a text."""
    rules = Tokenizer(models.BPE())
    rules.normalizer = normalizers.NFC()
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rules.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<end>", "<pad>"], initial_alphabet=alphabet)
    rules.train_from_iterator([*texts, *(f" {text}" for text in texts)], trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=rules, eos_token="<end>", pad_token="<pad>", model_max_length=64
    )


@pytest.fixture
def label_names() -> list[str]:
    """The three categories of these tests."""
    return LABELS


@pytest.fixture
def reviews() -> dict[str, list[str]]:
    """Short reviews of each category."""
    return REVIEWS


@pytest.fixture
def loss_settings() -> Loss:
    """Cross-entropy without any weighting."""
    return Loss(name="weighted_ce", scheme="none", beta=0.9, power=0.5, gamma=2.0, tau=1.0, label_smoothing=0.0)


@pytest.fixture
def train_settings(loss_settings: Loss) -> Train:
    """Three short epochs."""
    return Train(
        linear_probe=None,
        epochs=3,
        batch_size=4,
        learning_rate=0.003,
        head_learning_rate=0.01,
        weight_decay=0.01,
        warmup_share=0.1,
        max_tokens=8,
        prompt="",
        suffix="",
        lowercase=False,
        pooling="model",
        frozen_embeddings=False,
        layers=None,
        lora=None,
        lexicon=None,
        precision="fp32",
        gradient_checkpointing=False,
        processes=1,
        soft_label_weight=0.5,
        confidence_weighting=False,
        temperature_scaling=True,
        loss=dataclasses.replace(loss_settings, scheme="tempered"),
    )


@pytest.fixture(scope="session")
def splits() -> DatasetDict:
    """Real rows in every split, and synthetic rows for shoes in train."""
    made = [(text, label) for label, texts in REVIEWS.items() for text in texts]
    real = [_row(text, label, "real") for text, label in made]
    synthetic = [_row(text, "обувь", step) for text, step in (("кеды малы", "base"), ("туфли супер", "style"))]
    rows = {"train": [*real * 2, *synthetic], "validation": real[::2], "test": real[1::2]}
    features = Features(
        {
            "id": Value("string"),
            "text": Value("string"),
            "label": ClassLabel(names=LABELS),
            "soft_labels": Sequence(Value("float64")),
            "weight": Value("float64"),
            "machine_label": ClassLabel(names=LABELS),
            "machine_soft_labels": Sequence(Value("float64")),
            "machine_weight": Value("float64"),
            "provenance": Value("string"),
            "seed_ids": Sequence(Value("string")),
            "attributes": Value("string"),
        }
    )
    return DatasetDict({split: Dataset.from_list(some, features=features) for split, some in rows.items()})


def _row(text: str, label: str, provenance: str) -> dict[str, object]:
    soft_labels = [0.8 if name == label else 0.1 for name in LABELS]
    said = {"label": label, "soft_labels": soft_labels, "weight": 1.0}
    return {
        "id": text,
        "text": text,
        **said,
        **{f"machine_{name}": value for name, value in said.items()},
        "provenance": provenance,
        "seed_ids": [],
        "attributes": json.dumps({}),
    }
