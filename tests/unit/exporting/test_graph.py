"""A student as ONNX says what the student says."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from stages.common.arrays import FloatArray
from stages.common.manifest import write_manifest
from stages.encoding.graph import INPUTS
from stages.encoding.runtime import open_graph
from stages.exporting.folder import use, write_onnx
from stages.inference.classifier import Classifier
from stages.inference.features import compute_head_inputs
from stages.inference.folder import TRAINING
from stages.inference.head import Head
from stages.inference.onnx_classifier import FULL, PROBABILITIES, QUANTIZED, OnnxClassifier
from stages.running.io import write_json
from stages.training.config import Lexicon, Train
from stages.training.encoder import Encoder
from tests.unit.exporting.conftest import MakeStudent

# A word, nothing, more than fits.
TEXTS = ["кеды", "", "платье село и кофта хорошая", " ".join(["сапоги малы"] * 9), "туфли жмут, долго шёл заказ"]


def exported(source: Path, file: str) -> tuple[OnnxClassifier, Classifier]:
    """The student in `source` as it is in `file` beside it, and as torch runs it."""
    folder = source.parent / "onnx"
    folder.mkdir()
    write_onnx(source, folder)
    use(folder, file)
    return OnnxClassifier(folder), Classifier(source)


def in_a_batch(source: Path, file: str, student: Classifier) -> FloatArray:
    """What the graph gives `TEXTS` in one padded batch, as others may run it."""
    batch = student.tokenizer(TEXTS, truncation=True, padding=True, return_tensors="np")
    session = open_graph(source.parent / "onnx" / file, threads=1)
    probabilities: FloatArray = session.run([PROBABILITIES], {name: batch[name] for name in INPUTS})[0]
    return probabilities


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
@pytest.mark.parametrize("lexicon", [None, Lexicon(weight=1.0, regularisation=1.0)])
def test_the_graph_is_the_student(
    architecture: str, pooling: str, lexicon: Lexicon | None, make_student: MakeStudent
) -> None:
    if lexicon and pooling not in ("mean", "cls"):
        pytest.skip("no lexicon beside it")
    source = make_student(architecture, pooling, "запрос: ", lexicon)
    onnx_student, student = exported(source, FULL)
    right = student.predict_proba(TEXTS, 2)
    assert np.ptp(right, axis=0).max() > 0.1
    assert onnx_student.labels == student.labels
    given = onnx_student.predict_proba(TEXTS)
    assert given == pytest.approx(right, abs=1e-4)
    assert given == pytest.approx(in_a_batch(source, FULL, student), abs=1e-5)
    probabilities, embedding = onnx_student.predict_and_embed(TEXTS)
    assert np.array_equal(probabilities, given)
    features = compute_head_inputs(student.model, student.tokenizer, TEXTS, 2)
    assert embedding == pytest.approx(features, abs=1e-3)


@pytest.mark.parametrize(
    ("architecture", "pooling"),
    [*((name, "mean") for name in ("bert", "xlm-roberta", "gemma3", "t5")), ("qwen2", "last"), ("qwen3", "last")],
)
def test_int8_is_near_and_does_not_depend_on_the_other_texts(
    architecture: str, pooling: str, make_student: MakeStudent
) -> None:
    source = make_student(architecture, pooling)
    onnx_student, student = exported(source, QUANTIZED)
    given = onnx_student.predict_proba([*TEXTS, *TEXTS])
    assert given[:5] == pytest.approx(student.predict_proba(TEXTS, 5), abs=0.1)
    alone = np.concatenate([onnx_student.predict_proba([text]) for text in TEXTS])
    assert given[:5] == pytest.approx(alone, abs=1e-6)
    assert alone == pytest.approx(in_a_batch(source, QUANTIZED, student), abs=1e-5)


def test_weights_are_stored_in_half_precision_and_in_8_bits(make_student: MakeStudent) -> None:
    source = make_student("gemma3")
    exported(source, FULL)
    assert large_types(source.parent / "onnx" / FULL) == {TensorProto.FLOAT16}
    # The head has 3 columns.
    assert large_types(source.parent / "onnx" / QUANTIZED) == {TensorProto.INT8}


@pytest.mark.parametrize(("architecture", "pooling"), [("bert", "mean"), ("gemma3", "mean"), ("t5", "cls")])
def test_a_frozen_encoder_is_not_traced_again(
    architecture: str,
    pooling: str,
    encoders: dict[str, Path],
    label_names: list[str],
    train_settings: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = dataclasses.replace(
        train_settings, epochs=0, linear_probe=0.1, pooling=pooling, prompt="запрос: ", max_tokens=12
    )
    encoder = Encoder(encoders[architecture], label_names, train, seed=1)
    # Before a text that is empty no prompt is put.
    texts = [text for text in TEXTS if text]
    features = encoder.features(texts)
    (shared,) = (tmp_path / "cache/graphs").iterdir()
    # More precise than a student's folder.
    assert large_types(shared) == {TensorProto.FLOAT}
    head = Head(torch.randn(3, features.shape[1]), torch.randn(3))
    source = tmp_path / "student"
    encoder.write_with(head.scaled(float(np.abs(head.logits(features)).mean())), source)
    write_json(source / TRAINING, {"means": encoder.means})
    write_manifest(source)

    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: pytest.fail("traced"))
    onnx_student, student = exported(source, FULL)
    right = student.predict_proba(texts, 2)
    assert np.ptp(right, axis=0).max() > 0.1
    probabilities, embedding = onnx_student.predict_and_embed(texts)
    assert probabilities == pytest.approx(right, abs=1e-4)
    assert embedding == pytest.approx(features, abs=1e-2)
    assert large_types(tmp_path / "onnx" / FULL) == {TensorProto.FLOAT16}
    assert large_types(tmp_path / "onnx" / QUANTIZED) == {TensorProto.INT8}
    assert large_types(shared) == {TensorProto.FLOAT}


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
