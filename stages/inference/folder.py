"""A student's folder: an ordinary Hugging Face one, whose encoder and head are files of their own.

Students that differ in their heads alone have the same encoder file, byte for byte: DVC stores it once, and what it
gives for a text is computed once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from stages.common.fingerprint import fingerprint
from stages.common.links import link_or_copy
from stages.common.manifest import MANIFEST, check_manifest, write_manifest
from stages.common.vectors import space
from stages.inference.features import last_linear
from stages.inference.head import Head, lexicon_of
from stages.running.errors import ModelError
from stages.running.io import read_json, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# The names that transformers looks for where a model is cut into two files.
ENCODER = "model-00001-of-00002.safetensors"
HEAD = "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
# How the student was made; written by stage `train`.
TRAINING = "training.json"
# What a lexicon is called in a student's file of its head.
LEXICON = "lexicon.weight"
REMEDY = "copy the whole folder again, or run `dvc repro train package`"

# What `train.precision` is called in a model's config.json.
ARITHMETIC = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def write_student(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, precision: str = "fp32"
) -> None:
    """Write weights in half precision, to be loaded in the `precision` of training.

    Half the size loses nothing that a category depends on. Half the arithmetic is for students that were trained so:
    in some encoders, EmbeddingGemma among them, float16 overflows.
    """
    model.half()  # type: ignore[no-untyped-call]
    head_names = _head_names(model)
    # What has two names, as T5's table of words, is stored under one, and tied again by whoever loads it.
    once = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    weights = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items() if name in once}
    files = {name: HEAD if name in head_names else ENCODER for name in weights}
    # For the configuration, and the code of a class that is not transformers' own; the weights are placed below.
    model.save_pretrained(folder, state_dict={name: weights[name] for name in head_names})
    (folder / "model.safetensors").unlink()
    for file in (ENCODER, HEAD):
        part = {name: tensor for name, tensor in weights.items() if files[name] == file}
        save_file(part, folder / file, metadata={"format": "pt"})
        (folder / file).chmod(0o644)
    size = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    write_json(folder / INDEX, {"metadata": {"total_size": size}, "weight_map": dict(sorted(files.items()))})
    # It remembers how it was last asked to cut and fill; whoever loads it asks anew.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {**config, "dtype": ARITHMETIC[precision]})
    write_manifest(folder)


def write_like(twin: Path, head: Head, folder: Path) -> None:
    """Write a student with the encoder of the one in `twin`, whose files get a second name, and a head of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in twin.iterdir():
        if path.name not in (HEAD, TRAINING, MANIFEST):
            link_or_copy(path, folder / path.name)
    given = {"weight": head.weight, "bias": head.bias}
    part = {}
    for name, tensor in load_file(twin / HEAD).items():
        value = head.lexicon if name == LEXICON else given[name.rsplit(".", 1)[-1]]
        assert value is not None, f"the head in {twin} has {name}"
        part[name] = value.to(tensor.dtype).contiguous()
    save_file(part, folder / HEAD, metadata={"format": "pt"})
    (folder / HEAD).chmod(0o644)
    write_manifest(folder)


def read_head(folder: Path) -> Head:
    """The last layer of the student in `folder`, and its lexicon."""
    stored = {name: tensor.float() for name, tensor in load_file(folder / HEAD).items()}
    lexicon = stored.pop(LEXICON, None)
    layer = {name.rsplit(".", 1)[-1]: tensor for name, tensor in stored.items()}
    return Head(layer["weight"], layer.get("bias"), lexicon)


def read_tokenizer(folder: Path) -> Tokenizer:
    """What cuts a text for the student in `folder`, as it was trained."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(read_json(folder / "tokenizer_config.json")["model_max_length"])
    return tokenizer


def check_student(folder: Path) -> None:
    """See that a student's files are those that were written, the tokenizer and the labels of its head among them.

    Raises:
        ModelError: `folder` holds no trained student, or one of its files is missing, cut or not its own.
    """
    if not (folder / "config.json").is_file() and not (folder / MANIFEST).is_file():
        raise ModelError(f"{folder} holds no trained student (no config.json); run `make repro`, or name another")
    check_manifest(folder, ModelError, REMEDY)


def read_labels(folder: Path) -> list[str]:
    """The student's categories in order.

    Raises:
        ModelError: as `check_student`.
    """
    check_student(folder)
    named = read_json(folder / "config.json")["id2label"]
    return [named[str(index)] for index in range(len(named))]


def encoder_space(folder: Path) -> str:
    """The name of what the student's encoder gives (see `vectors.space`): that of all students which share it."""
    return space("student", fingerprint(folder, without=[HEAD, INDEX, TRAINING]))


def _head_names(model: PreTrainedModel) -> set[str]:
    layer = last_linear(model)
    parts = {id(part) for part in (layer.weight, layer.bias, lexicon_of(model)) if part is not None}
    return {name for name, parameter in model.named_parameters() if id(parameter) in parts}
