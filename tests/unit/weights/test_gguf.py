"""GGUF to a Hugging Face folder, with a tiny random Qwen2 written here."""

from __future__ import annotations

import resource
import struct
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from gguf import GGUFWriter, TokenType
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.convert_slow_tokenizer import bytes_to_unicode

from stages.running.errors import ModelError
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


def test_the_file_is_read_once_and_gguf_is_left_as_it_was(
    words: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice over, as another file's words must not be the first one's."""
    opened: list[Path] = []
    original = gguf._Reader.__init__
    monkeypatch.setattr(gguf._Reader, "__init__", lambda self, path: opened.append(path) or original(self, path))
    before = {name: getattr(gguf.gguf, name) for name in ("GGUFReader", "get_tensor_name_map", "dequantize")}
    for name, matrix in (("one", words), ("other", words * 2)):
        write_gguf(tmp_path / f"{name}.gguf", matrix, matrix)
        gguf.convert(tmp_path / f"{name}.gguf", tmp_path / name)
        model = AutoModelForCausalLM.from_pretrained(tmp_path / name)
        np.testing.assert_array_equal(model.get_input_embeddings().weight.detach(), matrix.astype(np.float16))
        assert model.config.vocab_size == ROWS
    assert [Path(path).name for path in opened] == ["one.gguf", "other.gguf"]
    assert {name: getattr(gguf.gguf, name) for name in before} == before


def position(content: bytes, part: bytes) -> int:
    assert content.count(part) == 1
    return content.index(part)


def edited(content: bytes, place: int, layout: str, value: int) -> bytes:
    new = struct.pack(layout, value)
    return content[:place] + new + content[place + len(new) :]


@pytest.fixture
def whole(words: np.ndarray, tmp_path: Path) -> bytes:
    write_gguf(tmp_path / "whole.gguf", words, words)
    return (tmp_path / "whole.gguf").read_bytes()


def refused(content: bytes, folder: Path) -> str:
    """What is said of such a file, within seconds and without much memory."""
    (folder / "broken.gguf").write_bytes(content)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    room = psutil.Process().memory_info().vms + 2**30
    resource.setrlimit(resource.RLIMIT_AS, (room, limits[1]))
    try:
        with pytest.raises(ModelError, match=r"broken\.gguf") as error:
            gguf.convert(folder / "broken.gguf", folder / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.01, 0.05, 0.1, 0.3, 0.6, 0.9, 0.999])
def test_a_cut_file_is_refused(share: float, whole: bytes, tmp_path: Path) -> None:
    refused(whole[: int(share * len(whole))], tmp_path)


@pytest.mark.parametrize("count", [2**20, 2**31, 2**40, 2**63, 2**64 - 1])
@pytest.mark.parametrize("place", [8, 16])
def test_a_huge_count_is_refused(place: int, count: int, whole: bytes, tmp_path: Path) -> None:
    assert "cut or damaged" in refused(edited(whole, place, "<Q", count), tmp_path)


def test_a_huge_list_or_name_is_refused(whole: bytes, tmp_path: Path) -> None:
    tokens = position(whole, b"tokenizer.ggml.tokens") + len(b"tokenizer.ggml.tokens") + 8
    assert "announced" in refused(edited(whole, tokens, "<Q", 2**62), tmp_path)
    assert "announced" in refused(edited(whole, 24, "<Q", 2**62), tmp_path)


@pytest.mark.parametrize(
    "name",
    ["block_count", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv"],
)
def test_a_model_larger_than_its_tensors_is_refused(name: str, whole: bytes, tmp_path: Path) -> None:
    place = position(whole, f"qwen2.{name}".encode() + struct.pack("<I", 4)) + len(f"qwen2.{name}") + 4
    assert f"in qwen2.{name}" in refused(edited(whole, place, "<I", 2**31), tmp_path)


def test_settings_that_do_not_belong_together_are_refused(whole: bytes, tmp_path: Path) -> None:
    place = position(whole, b"qwen2.embedding_length") + len(b"qwen2.embedding_length") + 4
    refused(edited(whole, place, "<I", 1), tmp_path)
    refused(whole.replace(b"qwen2", b"qwenX"), tmp_path)
    lacking = refused(whole.replace(b"ffn_up.weight", b"ffn_uq.weight"), tmp_path)
    assert "lacks model.layers.0.mlp.up_proj.weight, which would be random" in lacking


@pytest.mark.parametrize("seed", range(40))
def test_random_bytes_after_the_magic_are_refused(seed: int, whole: bytes, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    version = whole[4:8] if seed % 2 else b""
    assert "cut or damaged" in refused(b"GGUF" + version + rng.bytes(20_000), tmp_path)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"PK not a model")
    with pytest.raises(ModelError, match=r"tiny\.gguf does not start with b'GGUF'"):
        gguf.convert(tmp_path / "tiny.gguf", tmp_path / "model")
