"""Tokens and operations are counted as by hand, and told in seconds by what the machine was measured at."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, Qwen3Config

from stages.running import work
from stages.running.peak import matmul_rate, memory_rate
from stages.running.work import Expected, Usage, Weights, encoder, fresh_tokens, language_model

WEIGHTS = Weights(body=1_000, head=100)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that multiplies at 100,000 operations a second and reads 20,000 bytes."""
    monkeypatch.setattr(work, "matmul_rate", lambda dtype: 100_000 / work.MATMUL_SHARE)
    monkeypatch.setattr(work, "memory_rate", lambda: 20_000 / work.MEMORY_SHARE)


def test_a_token_costs_two_operations_a_weight_and_logits_apart() -> None:
    assert WEIGHTS.operations(10) == 20_000
    assert WEIGHTS.operations(10, logits=3) == 20_600


@pytest.mark.usefixtures("machine")
def test_seconds_are_operations_to_read_and_steps_to_write() -> None:
    read = Expected(WEIGHTS, answers=10, fresh=500, written=0, at_a_time=4)
    assert read.seconds("bfloat16") == pytest.approx((2 * 1_000 * 500 + 2 * 100 * 10) / 100_000)
    assert read.seconds("bfloat16", processors=2) == pytest.approx(read.seconds("bfloat16") / 2)
    # 80 tokens, four at a time: 20 steps that read 1,100 weights of two bytes, or of four.
    write = Expected(WEIGHTS, answers=10, fresh=0, written=80, at_a_time=4)
    logits = 2 * 100 * 10 / 100_000
    assert write.seconds("bfloat16") == pytest.approx(20 * 2_200 / 20_000 + logits)
    assert write.seconds("float32") == pytest.approx(20 * 4_400 / 20_000 + logits)
    # So many at a time that a step's operations take longer than reading the weights.
    many = Expected(WEIGHTS, answers=1_000, fresh=0, written=1_000, at_a_time=100)
    assert many.seconds("bfloat16") == pytest.approx(10 * 2 * 1_100 * 100 / 100_000 + 2 * 100 * 1_000 / 100_000)


def test_a_prefix_cache_gives_whole_blocks_but_never_the_last_token() -> None:
    shared = list(range(8))
    assert fresh_tokens([[*shared, 1, 2], [*shared, 3]], block=4) == 10 + 1
    # Seven in common are one block; and the second block of the third prompt ends with its last token.
    assert fresh_tokens([[*shared], [*shared[:7], 99, 5], [*shared]], block=4) == 8 + 5 + 4


def test_weights_are_those_of_the_configuration(tmp_path: Path) -> None:
    sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
    # Queries and outputs 16 x 16, keys and values 16 x 8, three products of the MLP, norms of the layer and the heads.
    layer = 2 * 16 * 16 + 2 * 16 * 8 + 3 * 16 * 32 + 2 * 16 + 2 * 8
    for tied in (True, False):
        config = Qwen3Config(**sizes, **heads, tie_word_embeddings=tied, architectures=["Qwen3ForCausalLM"])
        config.save_pretrained(tmp_path)
        assert language_model(tmp_path) == Weights(body=2 * layer + 16, head=50 * 16)


def test_tables_of_an_encoder_are_no_weights_that_a_token_meets(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    model = BertModel(config)
    tables = model.embeddings
    looked_up = (tables.word_embeddings, tables.position_embeddings, tables.token_type_embeddings)
    looked_up_size = sum(table.weight.numel() for table in looked_up)
    model.save_pretrained(tmp_path)
    pooler = sum(parameter.numel() for parameter in model.pooler.parameters())
    whole = sum(parameter.numel() for parameter in model.parameters())
    assert encoder(tmp_path).body == whole - looked_up_size - pooler


@pytest.mark.usefixtures("machine")
def test_long_work_is_told_by_the_piece(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fresh tokens", "written tokens", "GFLOP"):
        monkeypatch.setitem(work.counted, name, 0.0)
    usage = Usage(WEIGHTS, "answers", pieces=2)
    usage.add(fresh=60, written=1)
    usage.add(fresh=41, written=8)
    # The last token of a text is not read: 60 + 41 + 7 go through the body.
    assert usage.operations == 2 * (1_000 * 108 + 100 * 9)
    with caplog.at_level(logging.INFO):
        usage.tell("teacher", 5.0, "bfloat16")
        assert caplog.messages == []
        usage.tell("teacher", 20.0, "bfloat16")
    assert caplog.messages == [
        "teacher: 2 answers of 50.5 fresh + 4.5 written tokens and 0.000109 GFLOP each",
        f"teacher: 20 s, {100 * 217_800 / 20 / 100_000 * work.MATMUL_SHARE:.0f}% of what this machine's measured peak "
        "allows",
    ]
    assert work.counted["fresh tokens"] == 2 * 101


def test_this_machine_is_measured_once_and_leaves_random_numbers_alone() -> None:
    torch.manual_seed(1)
    rate, memory = matmul_rate("float32"), memory_rate()
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    assert 1e9 < rate < 1e16
    assert 1e8 < memory < 1e14
    assert matmul_rate("float32") == rate
