"""Stage `correct` after stage `curate`, on embeddings laid out by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import stages.correct
import stages.curate
from stages.common.arrays import probability_matrix
from stages.common.labels import Labels
from stages.common.texts import text_id
from stages.correcting.config import Human
from stages.curation.config import Curate
from stages.embedding.stored import write_embeddings
from stages.ingestion.tables import GOLD
from stages.running.errors import DataError
from stages.running.io import read_json, read_table, write_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary

NAMES = ["обувь", "одежда"]
WRITTEN = {"кеды: жмут": [1, 0, 0], "кофта: села": [-1, 0, 0], "Кеды жмут": [0.9, 0, 0], "Кофта села": [-0.9, 0, 0]}
# Of slippers nobody wrote: their direction is none that the vocabulary knows, and the teacher takes them for clothes.
REVIEWS = {
    "Тапочки греют": ("train", [0, 1, 0]),
    "Тапочки спадают": ("train", [0, 0.9, 0.1]),
    "Туфли малы": ("train", [0.8, 0, 0.1]),
    "Платье супер": ("validation", [-0.8, 0.1, 0]),
    "Тапочки мягкие": ("test", [0, 1, 0.1]),
    "Юбка мала": ("test", [-0.7, 0, 0]),
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A run up to `curate`; `answers` is still to be written."""
    monkeypatch.chdir(tmp_path)
    params = SimpleNamespace(
        labels=Labels(language="ru", names=NAMES),
        vocabulary=VocabularyFiles(seeds="seeds.csv", attributes="attributes.yaml"),
        curate=Curate(policy="combine", teacher_weight=0.2, regularisation=1.0),
        human=Human(answers="answers.csv", weight=2.0),
    )
    seeds = [("Кеды жмут", "обувь", "кеды", "жмут"), ("Кофта села", "одежда", "кофта", "села")]
    pd.DataFrame(seeds, columns=["text", "label", "product", "notes"]).to_csv("seeds.csv", index=False)
    attributes = "products: {обувь: {кеды: [жмут]}, одежда: {кофта: [села]}}\nmanner: {tone: [ровный]}\n"
    Path("attributes.yaml").write_text(attributes, encoding="utf-8")
    vectors = WRITTEN | {text: vector for text, (_, vector) in REVIEWS.items()}
    write_embeddings(Path("data/embed"), [text_id(text) for text in vectors], np.array([*vectors.values()], np.float32))
    # Without sentences of the shop.
    examples = read_vocabulary(params.vocabulary, NAMES).examples()
    write_table(Path("data/mix/rows.parquet"), examples[:0].assign(id=""))
    write_embeddings(Path("data/mix"), [], np.empty((0, 3), np.float32))
    reviews = pd.DataFrame({"id": [text_id(text) for text in REVIEWS], "row": range(2, 8), "text": [*REVIEWS]}).assign(
        split=[split for split, _ in REVIEWS.values()]
    )
    write_table(Path("data/ingest/reviews.parquet"), reviews)
    empty = pd.DataFrame({name: pd.Series(dtype=int if name == "row" else str) for name in GOLD.columns})
    for name in ("gold", "calibration"):
        write_table(Path(f"data/ingest/{name}.parquet"), empty)
    said = reviews.assign(label="одежда", confidence=0.7, probabilities=[[0.3, 0.7]] * len(reviews))
    write_table(Path("data/label/labels.parquet"), said)
    write_table(Path("data/label/gold.parquet"), said.head(0).assign(gold_set=""))
    for stage in (stages.curate, stages.correct):
        monkeypatch.setattr(stage, "load", lambda _: params)
    stages.curate.main()
    return params


def correct(*answers: tuple[str, str, str]) -> pd.DataFrame:
    """Run the stage with answers of text, label and how they were drawn; its table by text."""
    rows = [(text_id(text), text, label, drawn) for text, label, drawn in answers]
    write_table(Path("answers.csv"), pd.DataFrame(sorted(rows), columns=["id", "text", "label", "drawn"], dtype=str))
    stages.correct.main()
    return read_table(Path("data/correct/labels.parquet")).set_index("text")


def test_without_answers_labels_are_those_of_curate_and_nothing_is_fitted(workspace: SimpleNamespace) -> None:
    before = read_table(Path("data/curate/labels.parquet"))
    # A fit would read these.
    shutil.rmtree("data/embed")
    shutil.rmtree("data/mix")
    correct(("Отзыв другого магазина", "books", "random"))
    after = read_table(Path("data/correct/labels.parquet"))
    pd.testing.assert_frame_equal(after[list(before.columns)], before)
    assert set(after["provenance"]) == {"real"}
    assert after["label"].equals(after["machine_label"])
    assert after["weight"].equals(after["machine_weight"])
    assert (probability_matrix(after) == probability_matrix(after, "machine_probabilities")).all()
    assert GOLD.validate(read_table(Path("data/correct/checked.parquet"))).empty
    assert read_json(Path("data/correct/counts.json"))["set_aside"] == 1
    assert read_table(Path("data/correct/set_aside.csv"))["text"].to_list() == ["Отзыв другого магазина"]


def test_a_persons_label_is_final_and_teaches_the_second_opinion(workspace: SimpleNamespace) -> None:
    before = read_table(Path("data/curate/labels.parquet")).set_index("text")
    assert before.loc["Тапочки спадают", "label"] == "одежда"
    after = correct(("Тапочки греют", "обувь", "uncertainty"))
    answered = after.loc["Тапочки греют"]
    assert (answered["label"], answered["confidence"], answered["weight"]) == ("обувь", 1.0, 2.0)
    assert (answered["provenance"], answered["teacher_label"]) == ("human", "одежда")
    assert list(answered["probabilities"]) == [1, 0]
    # Slippers that nobody answered, of train and of test, are now taken for shoes by the second opinion.
    assert after.loc[["Тапочки спадают", "Тапочки мягкие"], "label"].to_list() == ["обувь", "обувь"]
    assert after.loc["Юбка мала", "label"] == "одежда"
    assert set(after.drop("Тапочки греют")["provenance"]) == {"real"}
    # What models alone said stays as it was.
    assert after["machine_label"].equals(before["label"].rename("machine_label"))
    assert (probability_matrix(after, "machine_probabilities") == probability_matrix(before)).all()


def test_answers_to_held_out_reviews_teach_nothing_and_test_ones_are_scored(workspace: SimpleNamespace) -> None:
    before = read_table(Path("data/curate/labels.parquet")).set_index("text")
    after = correct(
        ("Платье супер", "обувь", "random"), ("Тапочки мягкие", "обувь", "random"), ("Юбка мала", "одежда", "")
    )
    train = after["split"] == "train"
    assert (probability_matrix(after[train]) == probability_matrix(before[train])).all()
    assert after.loc[["Платье супер", "Тапочки мягкие"], "label"].to_list() == ["обувь", "обувь"]
    checked = GOLD.validate(read_table(Path("data/correct/checked.parquet"))).set_index("text")
    assert checked["gold_set"].to_list() == ["human", "human"]
    assert checked["label"].to_dict() == {"Тапочки мягкие": "обувь", "Юбка мала": "одежда"}
    assert checked["stratum"].to_dict() == {"Тапочки мягкие": "random", "Юбка мала": ""}
    counts = read_json(Path("data/correct/counts.json"))
    assert counts == {"answers": 3, "learnt": 0, "temperature": 1, "scored": 2, "set_aside": 0}


def test_a_text_that_looks_like_a_formula_is_found_again(workspace: SimpleNamespace) -> None:
    formula = "=СУММ(A1) туфли"
    correct((formula, "обувь", ""))
    assert Path("answers.csv").read_text(encoding="utf-8").count("'=") == 1
    assert read_table(Path("data/correct/set_aside.csv"))["text"].to_list() == [formula]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("Тапочки греют,", "Тапочки не греют,"), "row 2: its text is not the one that its id"),
        (("id,text,label,drawn", "id,text,label,how"), "has the columns .*how, not id, text, label, drawn"),
        ((",обувь,", ",сапоги,"), "row 2: label 'сапоги' is not one of обувь, одежда"),
    ],
)
def test_a_damaged_file_is_named_with_its_row(workspace: SimpleNamespace, edit: tuple[str, str], message: str) -> None:
    correct(("Тапочки греют", "обувь", "random"))
    path = Path("answers.csv")
    path.write_text(path.read_text(encoding="utf-8").replace(*edit), encoding="utf-8")
    with pytest.raises(DataError, match=rf"answers\.csv.*{message}"):
        stages.correct.main()
