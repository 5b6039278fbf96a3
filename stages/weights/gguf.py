"""A GGUF file (llama.cpp's format) -> an ordinary Hugging Face folder with float16 weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Tokenizer,
)

from stages.running.errors import ModelError
from stages.weights.blocks import half_blocks
from stages.weights.gguf_header import check_header

# Two copies of one matrix at two precisions (Q4 and Q6, say) differ by a few per cent; unrelated ones are orthogonal.
SAME_MATRIX_COSINE = 0.98
ROWS_STEP = 64


def convert(file: Path, folder: Path) -> None:
    """Dequantise `file` and save model, tokenizer, chat template and generation settings into `folder`.

    Raises:
        ModelError: the file is not GGUF, is cut, damaged or lacks tensors, or its architecture is unknown to
            transformers.
    """
    check_header(file)
    model: PreTrainedModel
    loaded: dict[str, set[str]]
    try:
        with _read_once():
            model, loaded = AutoModelForCausalLM.from_pretrained(  # type: ignore[misc]
                file.parent,
                gguf_file=file.name,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float16,
                output_loading_info=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except Exception as error:
        # Whatever its code comes upon in a file whose settings do not belong together.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(f"transformers cannot read {file.name}: {reason}") from error
    if loaded["missing_keys"]:
        raise ModelError(f"{file.name} lacks {', '.join(sorted(loaded['missing_keys']))}, which would be random")
    tie_embeddings(model)
    set_special_tokens(model, tokenizer)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)


class _Reader(gguf.GGUFReader):
    """Reads a list of numbers at once, and of one of words their number alone.

    transformers needs no more of it here, as it reads a vocabulary by other means; gguf makes an array of every word.
    """

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, list[Any], list[int], list[Any]]:
        if raw_type != gguf.GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)
        content = self.data.data
        kind, count = struct.unpack_from("<IQ", content, orig_offs)
        end = orig_offs + struct.calcsize("<IQ")
        if kind == gguf.GGUFValueType.STRING:
            for _ in range(count):
                end += struct.calcsize("<Q") + struct.unpack_from("<Q", content, end)[0]
            kind, values = gguf.GGUFValueType.UINT8, np.zeros(count, dtype=np.uint8)
        else:
            values = np.asarray(self._get(end, self.gguf_scalar_to_np[kind], count))
            end += values.nbytes
        # As so many values by themselves, not as a list of them: half the work for whoever reads each.
        return end - orig_offs, [*values.reshape(-1, 1)], [*range(count)], [gguf.GGUFValueType(kind)]


@contextmanager
def _read_once() -> Iterator[None]:
    """Let transformers read the file once and list the names of its tensors once, and dequantise on all cores.

    It opens it five times over, and lists the names for every module.
    """
    faster = {
        "GGUFReader": cache(_Reader),
        "get_tensor_name_map": cache(gguf.get_tensor_name_map),
        "dequantize": half_blocks(gguf.dequantize),
    }
    originals = {name: getattr(gguf, name) for name in faster}
    for name, function in faster.items():
        setattr(gguf, name, function)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(gguf, name, original)


def tie_embeddings(model: PreTrainedModel) -> None:
    """Share the output matrix with the word embeddings where the original shared them.

    A GGUF file stores a shared matrix twice when it quantises the output finer than the embeddings, and then reads
    as untied. The finer copy, the output, serves both: nearer to the original, and a quarter of a small model saved.
    """
    words, output = model.get_input_embeddings(), model.get_output_embeddings()  # type: ignore[no-untyped-call]
    assert isinstance(words, torch.nn.Embedding)
    assert isinstance(output, torch.nn.Linear)
    if words.weight is output.weight or words.weight.shape != output.weight.shape:
        return
    # A sample of the rows tells as much as all, without two float32 copies of the largest matrix.
    sample = slice(None, None, ROWS_STEP)
    cosine = torch.nn.functional.cosine_similarity(words.weight[sample].float(), output.weight[sample].float(), dim=1)
    if cosine.mean() > SAME_MATRIX_COSINE:
        words.weight = output.weight
        model.config.tie_word_embeddings = True


def set_special_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let generation stop at the end of a chat turn and, for raw completion, at the end of a text."""
    tokenizer.model_max_length = model.config.max_position_embeddings
    stops = [tokenizer.eos_token_id]
    end_of_text = tokenizer.get_vocab().get("<|endoftext|>")
    if end_of_text is not None and end_of_text not in stops:
        stops.append(end_of_text)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=tokenizer.bos_token_id, eos_token_id=stops, pad_token_id=tokenizer.pad_token_id
    )


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save the tokenizer as the original has it.

    Without the words `[PAD<id>]`, by which llama.cpp fills embedding rows that have none; and with Qwen's NFC in
    tokenizer.json, so that whoever reads that file alone cuts a `й` of two code points as transformers does.
    """
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["model"]["type"] == "BPE":
        vocabulary = content["model"]["vocab"]
        content["model"]["vocab"] = {word: number for word, number in vocabulary.items() if word != f"[PAD{number}]"}
    if isinstance(tokenizer, Qwen2Tokenizer):
        content["normalizer"] = content["normalizer"] or {"type": "NFC"}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
