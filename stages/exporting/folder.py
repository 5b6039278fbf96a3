"""A student's folder for ONNX Runtime: its graph in fp32 and in int8, and beside it all that `OnnxClassifier` needs."""

from __future__ import annotations

from pathlib import Path

from stages.common.links import link_or_copy
from stages.exporting.graph import write_classifier
from stages.exporting.quantization import write_quantized
from stages.inference.folder import read_labels
from stages.inference.onnx_classifier import DESCRIPTION, FULL, QUANTIZED, TOKENIZER, describe
from stages.running.io import read_json


def write_onnx(source: Path, folder: Path) -> None:
    """Write the student in `source` to the empty `folder`; of its two graphs the one in fp32 is in use.

    Raises:
        ModelError: `source` holds no trained student, or a damaged one.
    """
    labels = read_labels(source)
    link_or_copy(source / TOKENIZER, folder / TOKENIZER)
    write_classifier(source, folder / FULL)
    write_quantized(folder / FULL, folder / QUANTIZED)
    describe(folder, labels, read_json(source / "tokenizer_config.json")["model_max_length"], FULL)


def use(folder: Path, file: str) -> None:
    """Let the graph `file` in a folder of `write_onnx` be the one in use."""
    described = read_json(folder / DESCRIPTION)
    describe(folder, described["labels"], described["max_tokens"], file)
