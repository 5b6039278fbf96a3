"""What sentence-transformers makes of a text is what the embedder makes of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

from stages.embedding.config import Embed
from stages.embedding.embedder import Embedder
from stages.embedding.modules import read_modules
from stages.running.errors import ModelError
from stages.running.io import read_json, write_json
from tests.tiny_models import sample_texts, sbert

TEXTS = ["платье село", "чайник шумит, зато вода закипает за две минуты"]
SETTINGS = Embed(prefix="", lowercase=False, pooling="mean", batch_size=2, max_tokens=64)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "sbert"
    sbert(folder, sample_texts())
    return folder


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooling_and_linear_layers_are_those_of_sentence_transformers(
    plain: Path, pooling: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    transformer = Transformer(str(plain))
    size = transformer.get_embedding_dimension()
    layers = [
        Dense(size, 3 * size, bias=False, activation_function=torch.nn.Identity()),
        Dense(3 * size, 8, activation_function=torch.nn.Tanh()),
    ]
    model = SentenceTransformer(modules=[transformer, Pooling(size, pooling_mode=pooling), *layers, Normalize()])
    model.save(str(tmp_path / "model"), create_model_card=False)
    expected = model.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(Embedder(tmp_path / "model", SETTINGS).embed(TEXTS), expected, atol=1e-5)


def test_modules_that_are_not_known_are_named(plain: Path, tmp_path: Path) -> None:
    for path in plain.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "modules.json").unlink()
    listed = read_json(plain / "modules.json")
    write_json(tmp_path / "modules.json", [*listed, {"type": "sentence_transformers.models.LSTM", "path": "2_LSTM"}])
    with pytest.raises(ModelError, match="has a module LSTM; known are Transformer, Pooling, Dense and Normalize"):
        read_modules(tmp_path, "mean")
    (tmp_path / "pooled").mkdir()
    write_json(tmp_path / "pooled/modules.json", [{"type": "x.Pooling", "path": "1"}])
    (tmp_path / "pooled/1").mkdir()
    write_json(tmp_path / "pooled/1/config.json", {"pooling_mode_max_tokens": True})
    with pytest.raises(ModelError, match="pools by pooling_mode_max_tokens; known are mean and cls"):
        read_modules(tmp_path / "pooled", "mean")
