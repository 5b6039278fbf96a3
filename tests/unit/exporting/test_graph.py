"""A student as ONNX says what the student says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from stages.exporting.graph import write_classifier
from stages.exporting.quantization import write_quantized
from stages.inference.classifier import Classifier
from stages.inference.features import compute_head_inputs
from stages.inference.onnx_classifier import FULL, QUANTIZED, TOKENIZER, OnnxClassifier, describe
from tests.unit.exporting.conftest import MakeStudent

# A word, nothing, more than fits.
TEXTS = ["кеды", "", "платье село и кофта хорошая", " ".join(["сапоги малы"] * 9), "туфли жмут, долго шёл заказ"]


def exported(source: Path, file: str) -> tuple[OnnxClassifier, Classifier]:
    """The student in `source` as it is in `file` beside it, and as torch runs it."""
    folder = source.parent / "onnx"
    folder.mkdir()
    (folder / TOKENIZER).write_bytes((source / TOKENIZER).read_bytes())
    loaded = Classifier(source)
    write_classifier(loaded.model, folder / FULL)
    write_quantized(folder / FULL, folder / QUANTIZED)
    tokenizer = loaded.tokenizer
    describe(folder, loaded.labels, tokenizer.model_max_length, tokenizer.pad_token_id, file)
    return OnnxClassifier(folder), Classifier(source)


@pytest.mark.parametrize(
    ("architecture", "pooling"),
    [
        *(("bert", pooling) for pooling in ("mean", "cls", "model")),
        *(("xlm-roberta", pooling) for pooling in ("mean", "model")),
        ("gemma3", "mean"),
        *(("t5", pooling) for pooling in ("mean", "cls")),
        *((decoder, "last") for decoder in ("qwen2", "qwen3")),
    ],
)
def test_the_graph_is_the_student(architecture: str, pooling: str, make_student: MakeStudent) -> None:
    onnx_student, student = exported(make_student(architecture, pooling, "запрос: "), FULL)
    right = student.predict_proba(TEXTS, 2)
    assert np.ptp(right, axis=0).max() > 0.1
    assert onnx_student.labels == student.labels
    assert onnx_student.predict_proba(TEXTS, 2) == pytest.approx(right, abs=1e-4)
    assert onnx_student.predict_batch(TEXTS) == pytest.approx(student.predict_batch(TEXTS), abs=1e-4)
    assert onnx_student.predict_batch(TEXTS[:1]) == pytest.approx(right[:1], abs=1e-4)
    probabilities, embedding = onnx_student.predict_and_embed(TEXTS)
    assert np.array_equal(probabilities, onnx_student.predict_batch(TEXTS))
    features = compute_head_inputs(student.model, student.tokenizer, TEXTS, 2)
    assert embedding == pytest.approx(features, abs=1e-3)


@pytest.mark.parametrize(
    ("architecture", "pooling"),
    [*((name, "mean") for name in ("bert", "xlm-roberta", "gemma3", "t5")), ("qwen2", "last"), ("qwen3", "last")],
)
def test_int8_is_near_and_does_not_depend_on_the_other_texts(
    architecture: str, pooling: str, make_student: MakeStudent
) -> None:
    onnx_student, student = exported(make_student(architecture, pooling), QUANTIZED)
    given = onnx_student.predict_proba(TEXTS, 5)
    assert given == pytest.approx(student.predict_proba(TEXTS, 5), abs=0.1)
    alone = np.concatenate([onnx_student.predict_batch([text]) for text in TEXTS])
    assert given == pytest.approx(alone, abs=1e-5)


def test_weights_are_stored_in_half_precision_and_in_8_bits(make_student: MakeStudent) -> None:
    source = make_student("gemma3")
    exported(source, FULL)
    assert large_types(source.parent / "onnx" / FULL) == {TensorProto.FLOAT16}
    # The head has 3 columns.
    assert large_types(source.parent / "onnx" / QUANTIZED) == {TensorProto.INT8}


def large_types(path: Path) -> set[int]:
    tensors: Sequence[onnx.TensorProto] = onnx.load(path).graph.initializer
    return {tensor.data_type for tensor in tensors if np.prod(tensor.dims) > 200}


def test_weights_leave_no_product_of_two_to_overflow_16_bits(make_student: MakeStudent) -> None:
    source = make_student("bert")
    exported(source, QUANTIZED)
    graph = onnx.load(source.parent / "onnx" / QUANTIZED).graph
    products = [node for node in graph.node if node.op_type == "MatMulIntegerToFloat"]
    # Queries, keys, values, output and two layers of the perceptron, twice.
    assert len(products) == 12
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for product in products:
        whole = onnx.numpy_helper.to_array(stored[product.input[1]]).astype(int)
        assert 2 * 255 * np.abs(whole).max() < 2**15
