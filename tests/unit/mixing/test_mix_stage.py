"""Stage `mix` after stage `embed`, by a tiny encoder, and the second opinion that learns from what it leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import stages.embed
import stages.mix
from stages.common.texts import text_id
from stages.curation.written import fit_on_vocabulary, fit_second_opinion, learnt_from
from stages.embedding.config import Embed
from stages.embedding.embedder import Embedder
from stages.embedding.stored import read_embeddings
from stages.running.errors import DataError
from stages.running.io import read_table, write_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import Vocabulary, read_vocabulary
from tests.students import LABELS, encoders, sandbox  # noqa: F401

TRAIN = [
    "заказ не пришёл. продавец супер!",
    "деньги вернули долго. заказ шёл долго",
    "туфли малы. кеды жмут",
    "кофта села. юбка мала",
]
# Of nothing but delivery and the seller, too.
HELD_OUT = {"validation": ["продавец хороший, заказ пришёл"], "test": ["деньги вернули, продавец хороший"]}
# As they stand in a row, where each ends.
SAID = {"заказ не пришёл.", "продавец супер!", "деньги вернули долго.", "заказ шёл долго."}
SEEDS = [
    ("туфли малы, сапоги промокли", "обувь"),
    ("кофта села, юбка хорошая", "одежда"),
    ("заказ не пришёл, продавец супер", "нет товара"),
    ("деньги вернули, заказ шёл долго", "нет товара"),
]
PRODUCTS = {"обувь": {"кеды": ["жмут"]}, "одежда": {"платье": ["село"]}, "нет товара": {"заказ": ["шёл долго"]}}
EMBED = {"prefix": "", "lowercase": False, "pooling": "mean", "batch_size": 8, "max_tokens": 16}
MIX = {"copies": 2, "sentences": 2, "min_confidence": 0.5, "max_chars": 30}


@pytest.fixture
def vocabulary(encoders: dict[str, Path], tmp_path: Path) -> Vocabulary:  # noqa: F811
    """What is written, in a run up to stage `embed` in `tmp_path`."""
    reviews = [(text, "train") for text in TRAIN] + [(text, split) for split in HELD_OUT for text in HELD_OUT[split]]
    table = pd.DataFrame(reviews, columns=["text", "split"])
    write_table(Path("data/ingest/reviews.parquet"), table.assign(id=table["text"].map(text_id)))
    write_table(Path("data/ingest/gold.parquet"), pd.DataFrame({"text": ["сапоги супер"]}))
    seeds = pd.DataFrame(SEEDS, columns=["text", "label"]).assign(product="", notes="")
    seeds.to_csv("seeds.csv", index=False)
    Path("attributes.yaml").write_text(yaml.safe_dump({"products": PRODUCTS}, allow_unicode=True), encoding="utf-8")
    Path("data/models").mkdir()
    Path("data/models/embedder").symlink_to(encoders["bert"])
    write_params()
    stages.embed.main()
    return read_vocabulary(VocabularyFiles(seeds="seeds.csv", attributes="attributes.yaml"), LABELS)


def write_params(no_product: str | None = "нет товара", **mix: float) -> None:
    """The settings of the run, with another mix."""
    params = {
        "seed": 7,
        "labels": {"language": "ru", "names": LABELS, "no_product": no_product},
        "vocabulary": {"seeds": "seeds.csv", "attributes": "attributes.yaml"},
        "embed": EMBED,
        "curate": {"policy": "combine", "teacher_weight": 0.2, "regularisation": 1.0},
        "mix": MIX | mix,
    }
    Path("params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")


def rows() -> pd.DataFrame:
    stages.mix.main()
    return read_table(Path("data/mix/rows.parquet"))


def test_every_example_is_told_among_sentences_of_train_reviews_without_a_product(vocabulary: Vocabulary) -> None:
    found, examples = rows(), vocabulary.examples()
    assert len(examples) == 7
    assert 7 < len(found) <= 14
    assert set(found["label"]) == set(LABELS)
    for row in found.itertuples():
        mine = examples[(examples["label"] == row.label) & (examples["product"] == row.product)]["text"]
        told = {f"{text}." for text in mine if f"{text}." in row.text}
        assert any(set(said_around(row.text, text)) <= SAID for text in told), row.text
    assert all(any(said in text for text in found["text"]) for said in SAID)


def said_around(text: str, told: str) -> list[str]:
    """The sentences of `text` beside `told`."""
    rest = text.replace(told, "|", 1)
    found = []
    while said := next((said for said in SAID if said in rest), ""):
        found.append(said)
        rest = rest.replace(said, "", 1)
    return found if rest.strip(" |") == "" else [rest]


def test_no_sentence_is_of_a_review_that_is_held_out_or_names_a_product(vocabulary: Vocabulary) -> None:
    text = " ".join(rows()["text"])
    apart = [*(text for texts in HELD_OUT.values() for text in texts), "туфли малы.", "юбка мала"]
    assert not [said for said in apart if said in text]


def test_another_held_out_review_changes_nothing(vocabulary: Vocabulary) -> None:
    before = rows()
    reviews = read_table(Path("data/ingest/reviews.parquet"))
    write_table(Path("data/ingest/reviews.parquet"), reviews[reviews["split"] == "train"])
    pd.testing.assert_frame_equal(rows(), before)


def test_the_same_run_leaves_the_same_bytes(vocabulary: Vocabulary) -> None:
    files = [Path("data/mix") / name for name in ("rows.parquet", "embeddings.npy", "ids.csv")]
    rows()
    before = [file.read_bytes() for file in files]
    rows()
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize(
    "settings",
    [{"no_product": None}, {"copies": 0}, {"min_confidence": 1.0}, {"max_chars": 11}],
    ids=lambda settings: next(iter(settings)),
)
def test_without_talk_there_are_no_rows_and_the_second_opinion_is_the_vocabularys(
    settings: dict[str, float | None], vocabulary: Vocabulary
) -> None:
    write_params(**settings)  # type: ignore[arg-type]
    assert rows().empty
    vectors = read_embeddings(Path("data/embed"), read_table(Path("data/ingest/reviews.parquet"))["id"].to_list())
    alone = fit_on_vocabulary(vocabulary, LABELS, 1.0).distributions(vectors)
    np.testing.assert_allclose(fit_second_opinion(vocabulary, LABELS, 1.0).distributions(vectors), alone, atol=1e-6)


def test_the_second_opinion_learns_from_examples_and_mixed_rows(vocabulary: Vocabulary) -> None:
    found = rows()
    vectors, labels = learnt_from(vocabulary)
    assert labels == [*vocabulary.examples()["label"], *found["label"]]
    texts = [*vocabulary.examples()["text"], *found["text"]]
    embedder = Embedder(Path("data/models/embedder"), Embed(**EMBED))
    np.testing.assert_allclose(vectors, embedder.embed(texts), atol=1e-6)
    train = read_table(Path("data/ingest/reviews.parquet"))
    given = read_embeddings(Path("data/embed"), train["id"].to_list())
    alone, both = (fit(vocabulary, LABELS, 1.0).distributions(given) for fit in (fit_on_vocabulary, fit_second_opinion))
    assert np.abs(alone - both).max() > 0.01


def test_rows_of_another_run_are_told_from_ones_own(vocabulary: Vocabulary) -> None:
    found = rows()
    write_table(Path("data/mix/rows.parquet"), found.assign(id=found["id"].str[::-1]))
    with pytest.raises(DataError, match=r"data/mix/embeddings\.npy has no row"):
        learnt_from(vocabulary)
