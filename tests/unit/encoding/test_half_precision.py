"""What a card computes, in batches and in half precision: here on the CPU, as another device than the one it knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertModel

from stages.embedding.config import Embed
from stages.embedding.embedder import Embedder
from stages.encoding import means
from stages.encoding.source import ModelFolder
from stages.running.errors import ConfigError
from tests.tiny_models import sample_texts, sbert

SETTINGS = Embed(prefix="", lowercase=False, pooling="mean", batch_size=4, max_tokens=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("half") / "sbert"
    sbert(folder, sample_texts())
    return folder


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The precision of every encoder that is loaded, from now on for a card with bfloat16."""
    loaded: list[torch.dtype] = []
    load = ModelFolder.encoder

    def counted(self: ModelFolder, dtype: str = "float32") -> torch.nn.Module:
        encoder = load(self, dtype)
        loaded.append(encoder.dtype)
        return encoder

    monkeypatch.setattr(ModelFolder, "encoder", counted)
    monkeypatch.setattr(means, "_device", lambda: "cpu:0")
    monkeypatch.setattr(means, "_half_precision", lambda: "bfloat16")
    return loaded


def test_the_encoder_is_loaded_once_and_in_half_precision(folder: Path, loads: list[torch.dtype]) -> None:
    embedder = Embedder(folder, SETTINGS)
    texts = sample_texts()[:40]
    rounds = [embedder.embed(texts[start : start + 10]) for start in range(0, 40, 10)]
    assert loads == [torch.bfloat16]
    assert np.concatenate(rounds).dtype == np.float32
    # Another stage finds what this one computed.
    np.testing.assert_array_equal(Embedder(folder, SETTINGS).embed(texts[:10]), rounds[0])
    assert len(loads) == 1


def test_it_is_near_full_precision_and_kept_apart_from_it(
    folder: Path, loads: list[torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = sample_texts()[:40]
    half = Embedder(folder, SETTINGS).embed(texts)
    monkeypatch.setattr(means, "_device", lambda: "cpu")
    full = Embedder(folder, SETTINGS).embed(texts)
    assert loads == [torch.bfloat16, torch.float32]
    assert not np.array_equal(half, full)
    assert (half * full).sum(axis=1).min() > 0.999


def test_a_graph_has_the_weights_as_they_are_stored_on_a_card_too(folder: Path, loads: list[torch.dtype]) -> None:
    embedder = means.TokenMeans("a space", "mean", ModelFolder(folder, 64))
    assert embedder.graph_file().is_file()
    assert embedder.graph_file() == means.TokenMeans("a space", "mean", ModelFolder(folder, 64)).graph_file()
    assert loads == [torch.float32]


def test_want_of_memory_names_the_settings(
    folder: Path, loads: list[torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 978.00 MiB.")

    monkeypatch.setattr(BertModel, "forward", full)
    with pytest.raises(ConfigError, match=r"\(CUDA out of memory\): lower embed.batch_size .* vllm.gpu_memory_util"):
        Embedder(folder, SETTINGS).embed(["платье село"])
