"""An exported student answers, or says which of its files is at fault."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers

from stages.common.arrays import Vectors
from stages.encoding import runtime
from stages.encoding.runtime import TOGETHER
from stages.inference import onnx_classifier
from stages.inference.load import load_classifier
from stages.inference.onnx_classifier import DESCRIPTION, FULL, TOKENIZER, OnnxClassifier, describe
from stages.running.errors import ModelError
from stages.running.peak import physical_cores
from tests.conftest import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A student that says how many tokens it sees: to 1, 2, 3 of them the probabilities are that over 10."""
    target = tmp_path / "student/onnx"
    target.mkdir(parents=True)
    rules = Tokenizer(models.WordLevel({"<pad>": 0, "а": 1, "б": 2}, unk_token="<pad>"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    rules.save(str(target / TOKENIZER))
    nodes = [
        helper.make_node("ReduceSum", ["attention_mask", "axis"], ["seen"], keepdims=1),
        helper.make_node("ReduceSum", ["input_ids", "axis"], ["ids"], keepdims=1),
        helper.make_node("Concat", ["seen", "ids"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], ["counts"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["counts", "ten"], ["probabilities"]),
    ]
    shape = ["rows", "tokens"]
    graph = helper.make_graph(
        nodes,
        "counts",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])],
        [onnx.numpy_helper.from_array(np.array([1]), "axis"), onnx.numpy_helper.from_array(np.float32(10), "ten")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, target / FULL)
    describe(target, ["обувь", "одежда"], 3, FULL)
    return target


def test_answers_come_in_the_order_of_the_texts(folder: Path) -> None:
    classifier = OnnxClassifier(folder)
    texts = ["а", "б б б б б", "а б", "а"]
    expected = np.array([[0.1, 0.1], [0.3, 0.6], [0.2, 0.3], [0.1, 0.1]])
    for size in (1, 2, 4):
        assert classifier.predict_proba(texts[:size]) == pytest.approx(expected[:size])
    # As Python's float has them, so that a table shows 0.1 and not 0.10000000149.
    assert classifier.predict_proba(texts).dtype == np.float64
    assert classifier.predict_proba([]).shape == (0, 2)
    assert (classifier.labels, classifier.file) == (["обувь", "одежда"], FULL)
    assert 1 <= classifier.threads == physical_cores()


def test_each_core_has_texts_of_as_many_tokens_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_classifier, "physical_cores", lambda: 2)
    classifier = OnnxClassifier(folder)
    run, meeting = runtime._run, threading.Barrier(2)
    lengths: list[list[int]] = []

    def together(graph: Any, outputs: Sequence[str], group: Sequence[Sequence[int]]) -> list[Vectors]:
        lengths.append([*map(len, group)])
        # Passed by two at a time, or never.
        meeting.wait(timeout=20)
        return run(graph, outputs, group)

    monkeypatch.setattr(runtime, "_run", together)
    texts = ["а", "а б а", "б", "а б", "а", "б б", "б", "а"]
    assert classifier.predict_proba(texts)[:, 0] == pytest.approx([0.1, 0.3, 0.1, 0.2, 0.1, 0.2, 0.1, 0.1])
    assert sorted(lengths) == [[1], [1] * TOGETHER, [2, 2], [3]]


def test_a_text_that_fails_ends_the_call(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = OnnxClassifier(folder)
    run = runtime._run

    def failing(graph: Any, outputs: Sequence[str], group: Sequence[Sequence[int]]) -> list[Vectors]:
        if max(map(len, group)) == 2:
            raise MemoryError("no room for two tokens")
        return run(graph, outputs, group)

    monkeypatch.setattr(runtime, "_run", failing)
    with pytest.raises(MemoryError, match="two tokens"):
        classifier.predict_proba(["а", "а б", "б"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def overwrite(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.parametrize("damage", [cut, overwrite, Path.unlink])
@pytest.mark.parametrize("name", [DESCRIPTION, TOKENIZER, FULL])
def test_a_file_at_fault_is_named(name: str, damage: Callable[[Path], object], folder: Path) -> None:
    damage(folder / name)
    with pytest.raises(ModelError, match=rf"{name}.*run `dvc repro package`") as raised:
        OnnxClassifier(folder)
    assert "\n" not in str(raised.value)


def test_another_tokenizer_is_refused(folder: Path) -> None:
    other = json.loads((folder / TOKENIZER).read_text())
    other["model"]["vocab"] = {"<pad>": 0, "а": 2, "б": 1}
    (folder / TOKENIZER).write_text(json.dumps(other))
    with pytest.raises(ModelError, match="is not what was written"):
        load_classifier(folder.parent)


def test_neither_torch_nor_transformers_nor_pandas_is_imported(folder: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from stages.inference import onnx_classifier
from stages.inference.load import load_classifier
assert load_classifier(Path({str(folder.parent)!r})).predict_proba(["а б"]).shape == (1, 2)
print(*({{"torch", "transformers", "pandas", "scipy", "sklearn"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
