"""A batch of a finished run: what is in it, what lies beside it, and when another is drawn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.annotating.answers import merge
from stages.annotating.batch import COLUMNS, read_batch, read_drawn
from stages.annotating.config import Annotate
from stages.annotating.drawing import draw, quotas
from stages.annotating.finished import Finished, read_finished
from stages.annotating.label_studio import labelling_config
from stages.annotating.strategies import MEMBERS
from stages.common.provenances import FINAL
from stages.inference.answers import student_probabilities
from stages.running.errors import DataError
from stages.running.io import read_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary
from tests.conftest import ROOT
from tests.unit.annotating.conftest import write_curated

FOLDER = Path("annotations")
Command = Callable[..., str]


def _bytes() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in FOLDER.iterdir()}


def _answer(rows: pd.DataFrame, label: str, names: list[str]) -> None:
    merge(FOLDER / "answers.csv", rows.assign(label=label), names)


@pytest.mark.parametrize(
    ("size", "available", "expected"),
    [
        (100, (500, 500, 500), (50, 20, 30)),
        (100, (500, 5, 500), (65, 5, 30)),
        (100, (500, 0, 0), (100, 0, 0)),
        (100, (10, 500, 500), (10, 20, 30)),
        (1, (5, 5, 5), (1, 0, 0)),
        (3, (5, 5, 5), (1, 1, 1)),
    ],
    ids=str,
)
def test_each_split_gives_its_share_and_train_what_is_missing(
    size: int, available: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    settings = Annotate(strategy="random", scored_share=0.3, calibration_share=0.2)
    left = Counter(dict(zip(("train", "validation", "test"), available, strict=True)))
    assert tuple(quotas(size, left, settings).values()) == expected


def test_shares_that_round_up_are_not_more_than_the_batch() -> None:
    settings = Annotate(strategy="random", scored_share=0.5, calibration_share=0.5)
    for size in range(1, 30):
        shares = quotas(size, Counter(train=99, validation=99, test=99), settings)
        assert sum(shares.values()) == size
        assert min(shares.values()) >= 0


def test_whoever_stops_half_way_has_answered_half_of_each_kind(label_names: list[str]) -> None:
    random = np.random.default_rng(1)
    splits = ["train"] * 200 + ["validation"] * 100 + ["test"] * 100
    finished = Finished(
        reviews=pd.DataFrame({"id": map(str, range(400)), "text": map(str, range(400)), "split": splits}),
        probabilities={name: random.dirichlet(np.ones(3), size=400) for name in MEMBERS},
        vectors=random.standard_normal((400, 5)),
    )
    settings = Annotate(strategy="uncertainty", scored_share=0.3, calibration_share=0.2)
    batch = draw(finished, label_names, settings, 100, seed=3)
    assert Counter(batch["drawn"]) == {"random": 50, "uncertainty": 50}
    for part in (batch.iloc[:50], batch.iloc[:20]):
        share = part["split"].value_counts(normalize=True)
        assert share.to_dict() == pytest.approx({"train": 0.5, "test": 0.3, "validation": 0.2}, abs=0.051)
    # Of the rows by strategy the most urgent come first.
    sure = np.sort(finished.probabilities["student"], axis=1)
    margins = dict(zip(finished.reviews["id"], sure[:, -1] - sure[:, -2], strict=True))
    of_train = batch.loc[batch["split"] == "train", "id"].map(margins)
    assert of_train.is_monotonic_increasing
    assert of_train.max() <= sorted(margins[name] for name in map(str, range(200)))[49]


def test_a_batch_says_what_everyone_says(run: pd.DataFrame, annotate: Command, label_names: list[str]) -> None:
    told = annotate("--rows", "20")
    assert "20 reviews to check: 10 to learn from, 4 for the confidence, 6 to be scored by" in told
    assert "make serve" in told
    batch = read_batch(FOLDER)
    assert tuple(batch.columns) == COLUMNS
    assert batch["id"].is_unique
    reviews = run.set_index("id").loc[batch["id"]]
    assert batch["text"].to_list() == reviews["text"].to_list()
    assert batch["split"].to_list() == reviews["split"].to_list()
    assert set(batch["label"]) == set(batch["comment"]) == {""}
    assert set(batch.loc[batch["split"] != "train", "drawn"]) == {"random"}
    assert set(batch.loc[batch["split"] == "train", "drawn"]) == {"mixed"}
    student = student_probabilities(Path("data/students") / FINAL, batch["text"].to_list(), 8, label_names)
    assert batch["student"].to_list() == [label_names[index] for index in student.argmax(axis=1)]
    assert batch["confidence"].to_list() == [f"{value:.4f}" for value in student.max(axis=1)]
    teacher = read_table(Path("data/label/labels.parquet")).set_index("id").loc[batch["id"], "label"]
    assert batch["teacher"].to_list() == teacher.to_list()


def test_the_second_opinion_is_that_of_the_run(run: pd.DataFrame, label_names: list[str]) -> None:
    """It learns from the vocabulary's embeddings: whoever lies on a seed is of its category."""
    vocabulary = read_vocabulary(VocabularyFiles(seeds="seeds.csv", attributes="attributes.yaml"), label_names)
    vectors = np.load("data/embed/embeddings.npy")
    vectors[:6] = vectors[100:106]
    np.save("data/embed/embeddings.npy", vectors)
    write_curated(label_names)
    finished = read_finished(label_names, 8, [], 0)
    said = dict(zip(finished.reviews["id"], finished.probabilities["second_opinion"].argmax(axis=1), strict=True))
    assert [label_names[said[identity]] for identity in run["id"][:6]] == vocabulary.seeds["label"].to_list()


def test_label_studio_gets_the_same_reviews_with_predictions(
    run: pd.DataFrame, annotate: Command, label_names: list[str]
) -> None:
    annotate("--rows", "20")
    batch = read_batch(FOLDER)
    tasks = json.loads((FOLDER / "label_studio.json").read_text(encoding="utf-8"))
    view = ElementTree.parse(FOLDER / "label_studio.xml").getroot()
    text, choices = view.find("Text"), view.find("Choices")
    assert text is not None
    assert choices is not None
    assert choices.attrib == {"name": "label", "toName": text.attrib["name"], "choice": "single", "required": "true"}
    assert [choice.attrib for choice in choices] == [
        {"value": name, "hotkey": str(key)} for key, name in enumerate(label_names, start=1)
    ]
    assert [task["data"]["review_id"] for task in tasks] == batch["id"].to_list()
    for task, row in zip(tasks, batch.itertuples(), strict=True):
        assert task["data"][text.attrib["value"].removeprefix("$")] == row.text
        by = {prediction["model_version"]: prediction for prediction in task["predictions"]}
        # Who is shown an answer tends to agree with it: not where answers are scored or calibrated by.
        assert set(by) == ({"student", "teacher"} if row.split == "train" else set())
        if by:
            assert by["student"]["score"] == float(row.confidence)
        for who, prediction in by.items():
            (result,) = prediction["result"]
            assert result["from_name"] == choices.attrib["name"]
            assert result["to_name"] == text.attrib["name"]
            assert result["type"] == "choices"
            assert result["value"] == {"choices": [getattr(row, who)]}


def test_ten_categories_have_nine_keys() -> None:
    view = ElementTree.fromstring(labelling_config([f'<{n}> & "co"' for n in range(10)]))
    choices = list(view.iter("Choice"))
    assert [choice.get("hotkey") for choice in choices] == [*"123456789", None]
    assert choices[9].get("value") == '<9> & "co"'


def test_an_open_batch_stays_as_it_is(run: pd.DataFrame, annotate: Command, label_names: list[str]) -> None:
    annotate("--rows", "20")
    before = _bytes()
    told = annotate("--rows", "50")
    assert "annotations/batch.csv is open: 20 of its 20 reviews wait for an answer." in told
    assert _bytes() == before
    _answer(read_batch(FOLDER).head(12), label_names[0], label_names)
    before = _bytes()
    assert "8 of its 20 reviews wait" in annotate()
    assert _bytes() == before


def test_labels_in_an_open_batch_that_were_not_taken_back_are_told(
    run: pd.DataFrame, annotate: Command, label_names: list[str]
) -> None:
    annotate("--rows", "10")
    filled = read_batch(FOLDER)
    filled.loc[:3, "label"] = label_names[0]
    filled.to_csv(FOLDER / "batch.csv", index=False, sep=";", encoding="cp1251")
    told = annotate("--rows", "10")
    assert "4 of them have a label there; take these back: make annotate ANSWERS=annotations/batch.csv" in told
    assert read_batch(FOLDER)["label"].to_list() == [label_names[0]] * 4 + [""] * 6


def test_a_new_batch_puts_the_open_one_aside(run: pd.DataFrame, annotate: Command, label_names: list[str]) -> None:
    annotate("--rows", "10")
    first = _bytes()["batch.csv"]
    assert "annotations/batch-001.csv" in annotate("--rows", "10", "--new")
    assert (FOLDER / "batch-001.csv").read_bytes() == first
    second = _bytes()["batch.csv"]
    annotate("--rows", "10", "--new")
    assert (FOLDER / "batch-002.csv").read_bytes() == second
    assert len({first, second, _bytes()["batch.csv"]}) == 3, "chance draws otherwise each time"
    assert len(read_drawn(FOLDER)) > 10


def test_a_batch_put_aside_may_be_beyond_reading(run: pd.DataFrame, annotate: Command) -> None:
    annotate("--rows", "10")
    read_batch(FOLDER)[["text", "label"]].to_csv(FOLDER / "batch.csv", index=False)
    with pytest.raises(DataError, match=r"lacks the columns id, drawn.*ANSWERS=annotations/batch\.csv.*ARGS=--new"):
        annotate("--rows", "10")
    annotate("--rows", "10", "--new")
    assert len(read_batch(FOLDER)) == 10


def test_what_is_answered_is_never_drawn_again(run: pd.DataFrame, annotate: Command, label_names: list[str]) -> None:
    seen: set[str] = set()
    for size in (40, 40, 20):
        told = annotate("--rows", "40")
        batch = read_batch(FOLDER)
        assert len(batch) == size
        assert not seen & set(batch["id"])
        seen |= set(batch["id"])
        _answer(batch, label_names[0], label_names)
    assert "No more than 20 reviews of this run are left" in told
    assert seen == set(run["id"])
    assert "Every review of this run is answered" in annotate()


def test_the_same_run_draws_the_same_batch(run: pd.DataFrame, annotate: Command) -> None:
    annotate("--rows", "30")
    before = _bytes()
    for path in FOLDER.iterdir():
        path.unlink()
    annotate("--rows", "30")
    assert _bytes() == before


def test_without_a_finished_run_it_is_said_what_to_do(run: pd.DataFrame, annotate: Command) -> None:
    annotate("--rows", "10")
    before = _bytes()
    (Path("data/students") / FINAL).rename("elsewhere")
    with pytest.raises(DataError, match=r"drawn from a finished run; run `make repro` first"):
        annotate("--new")
    assert _bytes() == before, "the open batch stays open"


def test_a_formula_in_a_review_does_not_run_in_the_batch(
    run: pd.DataFrame, annotate: Command, label_names: list[str]
) -> None:
    labelled = read_table(Path("data/label/labels.parquet"))
    labelled.loc[labelled["split"] == "train", "text"] = "=1+1 туфли"
    labelled.to_parquet("data/label/labels.parquet")
    annotate("--rows", "10")
    assert "\n=1+1" not in (FOLDER / "batch.csv").read_text(encoding="utf-8")
    assert ",'=1+1 туфли," in (FOLDER / "batch.csv").read_text(encoding="utf-8")
    assert "=1+1 туфли" in set(read_batch(FOLDER)["text"])


def test_reading_batches_and_answers_loads_no_model() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import stages.annotate, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert not {"torch", "transformers", "sklearn"} & set(told.stdout.split())


def test_make_hands_on_whatever_a_file_is_called(
    run: pd.DataFrame, annotate: Command, label_names: list[str], tmp_path: Path
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "stages").symlink_to(ROOT / "stages")
    # The environment counts as made: it is the one that runs this.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def make(*arguments: str) -> str:
        command = ["make", "--old-file=.venv/.ready", "annotate", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert "stages.annotate --rows=8 --new" in make("--dry-run", "N=8", "ARGS=--new")
    annotate("--rows", "8")
    name = """мои "ответы" $HOME (1) it's.csv"""
    read_batch(FOLDER).assign(label=label_names[0]).to_csv(name, index=False)
    assert "8 answers added" in make(f"ANSWERS={name}")
