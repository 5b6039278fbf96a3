import shutil
from pathlib import Path

import numpy as np
import pytest

from stages.common.vectors import VectorStore
from stages.embedding.config import Embed
from stages.embedding.cosine import nearest_cosine
from stages.embedding.embedder import Embedder
from stages.embedding.stored import read_embeddings, write_embeddings
from stages.encoding import means
from stages.encoding.means import means_space
from stages.encoding.source import ModelFolder
from stages.running.errors import DataError, ModelError

SETTINGS = Embed(prefix="query: ", lowercase=False, pooling="mean", batch_size=2, max_tokens=32)
TEXTS = ["платье хорошее", "чайник", "платье хорошее и чайник хорошее"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain Hugging Face folder with a random two-layer BERT."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", ":", "платье", "хорошее", "чайник", "и"]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(words), max_position_embeddings=32, **sizes)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    BertTokenizerFast(vocab=str(vocabulary), do_lower_case=False).save_pretrained(folder)
    return folder


def test_rows_are_unit_float32_in_the_order_of_the_texts(folder: Path) -> None:
    vectors = Embedder(folder, SETTINGS).embed(TEXTS)
    assert vectors.shape == (3, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    again = Embedder(folder, SETTINGS, VectorStore(folder / "other.sqlite"))
    np.testing.assert_array_equal(vectors[::-1], again.embed(TEXTS[::-1]))
    assert again.embed([]).shape == (0, 16)


def test_a_text_gets_the_same_alone_as_among_others(folder: Path, tmp_path: Path) -> None:
    words = ["платье", "хорошее", "чайник", "и"]
    # More tokens than a sum takes at a time, and more texts of as many of them than one batch holds.
    texts = [" ".join(words[(at + step) % 4] for step in range(20 + at % 2)) + f" {words[at % 4]}" for at in range(8)]
    among = Embedder(folder, SETTINGS, VectorStore(tmp_path / "among.sqlite")).embed(texts)
    for at, text in enumerate(texts):
        alone = Embedder(folder, SETTINGS, VectorStore(tmp_path / f"{at}.sqlite")).embed([text])
        np.testing.assert_array_equal(alone[0], among[at])


def test_prefix_and_pooling_are_those_of_the_settings(folder: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    hidden = model(**tokenizer("query: чайник", return_tensors="pt")).last_hidden_state[0].detach().numpy()
    for pooling, expected in (("mean", hidden.mean(axis=0)), ("cls", hidden[0])):
        settings = Embed(prefix="query: ", lowercase=False, pooling=pooling, batch_size=2, max_tokens=32)
        np.testing.assert_allclose(
            Embedder(folder, settings).embed(["чайник"])[0], expected / np.linalg.norm(expected), atol=1e-5
        )


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{tmp_path} holds no model"):
        Embedder(tmp_path, SETTINGS)


def test_stored_rows_come_back_by_id(tmp_path: Path) -> None:
    vectors = np.eye(3, dtype=np.float32)
    # Identities are hex digits: "0012" and "1e05" must not become numbers.
    write_embeddings(tmp_path, ["0012", "1e05", "ab"], vectors)
    np.testing.assert_array_equal(read_embeddings(tmp_path, ["ab", "0012"]), vectors[[2, 0]])
    with pytest.raises(DataError, match="'zz'"):
        read_embeddings(tmp_path, ["ab", "zz"])


def test_nearest_cosine_goes_through_all_blocks() -> None:
    rows = np.eye(5, 3, dtype=np.float32)
    pool = np.array([[0.6, 0.8, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(nearest_cosine(rows, pool, block=2), [0.6, 0.8, 0, 0, 0])
    np.testing.assert_array_equal(nearest_cosine(rows, pool[:0]), -np.ones(5))


def test_another_run_loads_no_model_for_texts_that_are_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Embedder(folder, SETTINGS).embed(TEXTS)
    monkeypatch.setattr(ModelFolder, "encoder", lambda _: pytest.fail("a model was loaded"))
    monkeypatch.setattr(means, "open_graph", lambda _: pytest.fail("a graph was loaded"))
    np.testing.assert_array_equal(Embedder(folder, SETTINGS).embed(TEXTS[1:]), first[1:])


def test_other_weights_under_the_same_name_are_another_model(folder: Path, tmp_path: Path) -> None:
    before = means_space(folder, "mean", 32)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert means_space(copy, "mean", 32) == before
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert means_space(copy, "mean", 32) != before
