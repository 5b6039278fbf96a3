"""What the embedder computes is counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from stages.composition.params import Params
from stages.embedding.embedder import Embedder
from stages.running.work import counted, encoder
from tests.tiny_models import sample_texts, sbert


def test_tokens_of_new_texts_are_counted_and_of_known_ones_not(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fresh tokens", "written tokens", "GFLOP", "texts", "known texts"):
        monkeypatch.setitem(counted, name, 0.0)
    folder = tmp_path / "sbert"
    sbert(folder, sample_texts())
    model = SentenceTransformer(str(folder))
    texts = ["платье село", "чайник шумит, зато вода закипает за две минуты"]
    longest = params.embed.max_tokens
    tokens = sum(min(longest, len(model.tokenizer(params.embed.prefix + text)["input_ids"])) for text in texts)
    for _ in range(2):
        Embedder(folder, params.embed).embed(texts)
    assert counted["fresh tokens"] == tokens
    assert counted["GFLOP"] * 1e9 == pytest.approx(encoder(folder).operations(tokens))
    assert (counted["texts"], counted["known texts"]) == (2, 2)
