"""A finished run in `tmp_path`: reviews in three splits, a teacher, embeddings and a tiny student."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import stages.annotate
from stages.common.provenances import FINAL
from stages.common.texts import text_id
from stages.curation.config import Curate
from stages.curation.curated import curated
from stages.curation.written import fit_on_vocabulary
from stages.embedding.stored import write_embeddings
from stages.inference.folder import write_student
from stages.running.io import read_table, write_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary
from tests.students import encoders, label_names, sandbox  # noqa: F401

SPLITS = {"train": 60, "validation": 20, "test": 20}


@pytest.fixture
def run(tmp_path: Path, encoders: dict[str, Path], label_names: list[str]) -> pd.DataFrame:  # noqa: F811
    """The reviews (id, row, text, split) of a run whose files lie in `tmp_path`, the working folder."""
    things = ["туфли", "кеды", "сапоги", "платье", "кофта", "юбка", "заказ", "продавец", "деньги", "доставка"]
    verdicts = ["малы", "жмут", "хорошие", "промокли", "супер", "село", "мала", "долго", "пришёл", "вернули"]
    texts = [" ".join(words) for words in product(things, verdicts)]
    splits = [split for split, count in SPLITS.items() for _ in range(count)]
    random = np.random.default_rng(0)
    reviews = pd.DataFrame({"id": map(text_id, texts), "row": range(2, 102), "text": texts, "split": splits})
    reviews["split"] = random.permutation(reviews["split"])
    write_table(tmp_path / "data/ingest/reviews.parquet", reviews)
    teacher = random.dirichlet(np.ones(3), size=100)
    labelled = reviews.drop(columns="row").assign(
        label=[label_names[index] for index in teacher.argmax(axis=1)],
        confidence=teacher.max(axis=1),
        probabilities=list(teacher),
    )
    write_table(tmp_path / "data/label/labels.parquet", labelled)
    _write_vocabulary(tmp_path, label_names)
    files = VocabularyFiles(seeds="seeds.csv", attributes="attributes.yaml")
    vocabulary = read_vocabulary(files, label_names)
    embedded = [*texts, *vocabulary.examples()["text"]]
    vectors = random.standard_normal((len(embedded), 8)).astype(np.float32)
    write_embeddings(tmp_path / "data/embed", [text_id(text) for text in embedded], vectors)
    write_curated(label_names)
    model = AutoModelForSequenceClassification.from_pretrained(
        encoders["xlm-roberta"], num_labels=3, id2label=dict(enumerate(label_names))
    )
    student = tmp_path / "data/students" / FINAL
    student.mkdir(parents=True)
    write_student(model, AutoTokenizer.from_pretrained(encoders["xlm-roberta"]), student)
    settings = {
        "seed": 7,
        "labels": {"language": "ru", "names": label_names},
        "answer": {"batch_size": 8},
        "human": {"answers": "annotations/answers.csv", "weight": 5.0},
        "annotate": {"strategy": "mixed", "scored_share": 0.3, "calibration_share": 0.2},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return reviews


def write_curated(names: list[str]) -> None:
    """What stage `curate` makes of the labels and embeddings that lie in the working folder."""
    settings = Curate(policy="combine", teacher_weight=0.2, regularisation=1.0)
    vocabulary = read_vocabulary(VocabularyFiles(seeds="seeds.csv", attributes="attributes.yaml"), names)
    opinion = fit_on_vocabulary(vocabulary, names, settings.regularisation)
    labelled = read_table(Path("data/label/labels.parquet"))
    write_table(Path("data/curate/labels.parquet"), curated(labelled, opinion, names, settings))


@pytest.fixture
def annotate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command with arguments; what it printed."""

    def command(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["annotate", *arguments])
        stages.annotate.main()
        return capsys.readouterr().out

    return command


def _write_vocabulary(folder: Path, names: list[str]) -> None:
    seeds = [(f"{name} образец {number}", name, "вещь", "хороша") for name in names for number in (1, 2)]
    write_table(folder / "seeds.csv", pd.DataFrame(seeds, columns=["text", "label", "product", "notes"]))
    attributes = {"products": {name: {f"вещь, {name}": ["хороша", "плоха"]} for name in names}, "manner": {}}
    (folder / "attributes.yaml").write_text(yaml.safe_dump(attributes, allow_unicode=True), encoding="utf-8")
