"""A tiny student as stage `export` leaves it, its index, and services over real HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import numpy as np
import onnx
import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from stages.common.arrays import FloatArray
from stages.common.manifest import write_manifest
from stages.inference.onnx_classifier import FULL, TOKENIZER, describe
from stages.running.io import write_table

LABELS = ["обувь", "одежда", "нет товара"]
# A word is a direction of its own or two at once.
WORDS = {"сапоги": [4, 0, 0], "платье": [0, 4, 0], "заказ": [0, 0, 4], "кеды": [3, 0, 1], "кофта": [0, 3, 1]}
EXAMPLES = [
    ("сапоги", "обувь", "real"),
    ("кеды", "обувь", "base"),
    ("платье", "одежда", "real"),
    ("заказ", "нет товара", "written"),
]


def write_student_folder(folder: Path) -> Path:
    """A student whose embedding is the sum of the words' directions, and whose head is the identity."""
    target = folder / "onnx"
    target.mkdir(parents=True)
    rules = Tokenizer(
        models.WordLevel({"<pad>": 0, **{word: 1 + row for row, word in enumerate(WORDS)}}, unk_token="<pad>")
    )
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    rules.save(str(target / TOKENIZER))
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("ReduceSum", ["words", "axis"], ["embedding"], keepdims=0),
        helper.make_node("Softmax", ["embedding"], ["probabilities"]),
        # Part of every graph of a student; here what is masked is zero.
        helper.make_node("Shape", ["attention_mask"], ["unused"]),
    ]
    table = np.array([[0, 0, 0], *WORDS.values()], dtype=np.float32)
    graph = helper.make_graph(
        nodes,
        "student",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 3])
            for name in ("probabilities", "embedding")
        ],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), target / FULL)
    describe(target, LABELS, 64, FULL)
    return folder


def write_index(folder: Path, scale: float = 1.0) -> Path:
    folder.mkdir()
    rows = [{"id": text, "text": text, "label": label, "provenance": kind} for text, label, kind in EXAMPLES]
    write_table(folder / "examples.parquet", pd.DataFrame(rows))
    vectors = np.array([WORDS[text] for text, _, _ in EXAMPLES], dtype=np.float32) * scale
    np.save(folder / "vectors.npy", (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16))
    write_manifest(folder)
    return folder


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_student_folder(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="session")
def index_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_index(tmp_path_factory.mktemp("run") / "index")


class Scripted:
    """A student that answers by a text's length, counts its batches, and waits while its gate is shut."""

    def __init__(self) -> None:
        self.labels = ["обувь", "одежда"]
        self.file = "scripted"
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def predict_and_embed(self, texts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        self.batches.append([*texts])
        assert self.gate.wait(60)
        if "упадёт" in texts:
            raise RuntimeError("out of memory")
        lengths = np.array([len(text) for text in texts], dtype=float)
        return np.stack([1 / (1 + lengths), lengths / (1 + lengths)], axis=1), lengths[:, None]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


@contextmanager
def served(app: FastAPI) -> Iterator[httpx2.Client]:
    """A client of `app`, which a server of its own runs in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], httpx2.Client]]:
    """A function that starts a server on an application and returns its client."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(served(app))
