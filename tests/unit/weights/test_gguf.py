"""GGUF to a Hugging Face folder, with a tiny random Qwen2 written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.convert_slow_tokenizer import bytes_to_unicode

from stages.common.errors import ModelError
from stages.weights import gguf

HIDDEN, FEED_FORWARD, HEADS, KEY_VALUE_HEADS = 32, 64, 4, 2
LETTERS = [*bytes_to_unicode().values(), "ab"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ROWS = len(LETTERS) + len(SPECIAL) + 2
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_gguf(path: Path, words: np.ndarray, output: np.ndarray) -> None:
    rng = np.random.default_rng(20)
    key_value = HIDDEN // HEADS * KEY_VALUE_HEADS
    writer = GGUFWriter(path, "qwen2")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_VALUE_HEADS)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    fillers = [f"[PAD{number}]" for number in range(ROWS - 2, ROWS)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*LETTERS, *SPECIAL, *fillers])
    kinds = [TokenType.NORMAL] * len(LETTERS) + [TokenType.CONTROL] * len(SPECIAL) + [TokenType.UNUSED] * 2
    writer.add_token_types(kinds)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(len(LETTERS) + 2)
    writer.add_bos_token_id(len(LETTERS))
    writer.add_pad_token_id(len(LETTERS))
    writer.add_chat_template(TEMPLATE)
    shapes = {
        "attn_norm.weight": (HIDDEN,),
        "attn_q.weight": (HIDDEN, HIDDEN),
        "attn_q.bias": (HIDDEN,),
        "attn_k.weight": (key_value, HIDDEN),
        "attn_k.bias": (key_value,),
        "attn_v.weight": (key_value, HIDDEN),
        "attn_v.bias": (key_value,),
        "attn_output.weight": (HIDDEN, HIDDEN),
        "ffn_norm.weight": (HIDDEN,),
        "ffn_gate.weight": (FEED_FORWARD, HIDDEN),
        "ffn_up.weight": (FEED_FORWARD, HIDDEN),
        "ffn_down.weight": (HIDDEN, FEED_FORWARD),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"blk.0.{name}", rng.normal(size=shape).astype(np.float32))
    writer.add_tensor("token_embd.weight", words)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def words() -> np.ndarray:
    return np.random.default_rng(21).normal(size=(ROWS, HIDDEN)).astype(np.float32)


def test_two_copies_of_one_matrix_become_one(words: np.ndarray, tmp_path: Path) -> None:
    finer = words + np.random.default_rng(22).normal(scale=0.02, size=words.shape).astype(np.float32)
    write_gguf(tmp_path / "tiny.gguf", words, finer)
    gguf.convert(tmp_path / "tiny.gguf", tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert model.config.tie_word_embeddings
    assert model.dtype == torch.float16
    np.testing.assert_array_equal(model.get_input_embeddings().weight.detach(), finer.astype(np.float16))
    np.testing.assert_array_equal(model.get_output_embeddings().weight.detach(), finer.astype(np.float16))


def test_unrelated_output_matrix_stays_apart(words: np.ndarray, tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", words, words[::-1].copy())
    gguf.convert(tmp_path / "tiny.gguf", tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert not model.config.tie_word_embeddings
    np.testing.assert_array_equal(model.get_input_embeddings().weight.detach(), words.astype(np.float16))


def test_tokenizer_template_and_stops(words: np.ndarray, tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", words, words)
    folder = tmp_path / "model"
    gguf.convert(tmp_path / "tiny.gguf", folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = [{"role": "system", "content": "С"}, {"role": "user", "content": "Чай"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nС<|im_end|>\n<|im_start|>user\nЧай<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.decode(tokenizer("Чай 5")["input_ids"]) == "Чай 5"
    # The same letter, composed and decomposed.
    assert tokenizer("\u0439")["input_ids"] == tokenizer("\u0438\u0306")["input_ids"]
    assert len(tokenizer) == ROWS - 2
    assert tokenizer.model_max_length == 64
    end_of_text, end_of_turn = len(LETTERS), len(LETTERS) + 2
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (end_of_text, end_of_turn)
    generation = GenerationConfig.from_pretrained(folder)
    assert (generation.eos_token_id, generation.pad_token_id) == ([end_of_turn, end_of_text], end_of_text)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"PK not a model")
    with pytest.raises(ModelError, match=r"tiny\.gguf does not start with b'GGUF'"):
        gguf.convert(tmp_path / "tiny.gguf", tmp_path / "model")
