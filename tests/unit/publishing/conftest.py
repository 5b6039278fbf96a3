"""A finished run that is small: a student that answers, a dataset, and the lock that says what made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import yaml
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers

from stages.assembly.folder import write_splits
from stages.common.manifest import write_manifest
from stages.composition.compose import compose
from stages.inference.onnx_classifier import FULL, TOKENIZER, describe
from stages.publishing.terms import MADE_WITH
from stages.reporting.page import card
from stages.running.config import read
from tests.conftest import ROOT

LABELS = ["обувь", "одежда"]


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with `data/student` and `data/dataset`, and with what does not belong there."""
    folder = tmp_path / "checkout"
    (folder / "data").mkdir(parents=True)
    (folder / "stages").symlink_to(ROOT / "stages")
    (folder / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(folder)
    composed([])
    write_student(folder / "data/student")
    write_dataset(folder / "data/dataset")
    for stray in (".gitignore", "onnx/.DS_Store", "notes.txt"):
        (folder / "data/student" / stray).write_text("mine")
    return folder


def composed(overrides: list[str], *, run: bool = True) -> None:
    """Compose `params.yaml`; with `run`, `dvc.lock` is that of a run with it."""
    compose(Path("params.yaml"), overrides, ROOT / "conf")
    if run:
        settings = read(Path("params.yaml"))
        made = {stage: {name: settings[name] for name in sections} for stage, sections in MADE_WITH.items()}
        stages = {stage: {"params": {"params.yaml": sections}} for stage, sections in made.items()}
        Path("dvc.lock").write_text(yaml.safe_dump({"stages": stages}, allow_unicode=True))


def write_student(folder: Path) -> None:
    """A student for which clothes are what has more known words than one, as stage `package` leaves it."""
    target = folder / "onnx"
    target.mkdir(parents=True)
    rules = Tokenizer(models.WordLevel({"<pad>": 0, "туфли": 1, "платье": 2}, unk_token="<pad>"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    rules.save(str(target / TOKENIZER))
    # Weights that the answer needs, of more bytes than one part of an upload.
    weights = np.zeros(2**15, np.float32)
    weights[0] = 10.0
    nodes = [
        helper.make_node("ReduceSum", ["attention_mask", "axis"], ["seen"], keepdims=1),
        helper.make_node("ReduceSum", ["input_ids", "axis"], ["ids"], keepdims=1),
        helper.make_node("Concat", ["seen", "ids"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], ["counts"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["weights"], ["ten"], keepdims=0),
        helper.make_node("Div", ["counts", "ten"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "counts",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])],
        [onnx.numpy_helper.from_array(np.array([1]), "axis"), onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, target / FULL)
    describe(target, LABELS, 8, FULL)
    write_manifest(target)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 600)
    write_manifest(folder, ["config.json", "model.safetensors"])
    (folder / "README.md").write_text("---\nlicense: gemma\n---\n# Category classifier\n")
    (folder / "example.py").write_text(card("example.py.jinja", {}))


def write_dataset(folder: Path) -> None:
    """Three rows, as stage `dataset` leaves them."""
    rows = pd.DataFrame({"id": ["1", "2", "3"], "text": ["туфли", "платье", "туфли малы"], "label": "обувь"}).assign(
        soft_labels=[[0.9, 0.1]] * 3, weight=1.0, provenance="real", seed_ids=[[]] * 3, attributes="{}",
        machine_label="обувь", machine_soft_labels=[[0.9, 0.1]] * 3, machine_weight=1.0,
        split=["train", "validation", "test"],
    )  # fmt: skip
    write_splits(rows, LABELS, folder)
    (folder / "README.md").write_text("---\nlicense: other\n---\n# Training set\n")
