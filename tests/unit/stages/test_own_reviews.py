"""A user's own file, with and without gold, through `ingest`, `label` and `dataset` with a scripted teacher."""

from pathlib import Path

import pandas as pd
import pytest
from datasets import load_from_disk
from omegaconf import OmegaConf

import stages.dataset
import stages.ingest
import stages.label
from stages.common.errors import DataError
from stages.common.io import read_json
from stages.compose import compose
from tests.conftest import ROOT

REVIEWS = [f"{stem} номер {number} как на фото" for number in range(40) for stem in ("обувь", "посуда", "одежда")]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    frame = pd.DataFrame({"review": [*REVIEWS, "", REVIEWS[0].upper()], "stars": 5})
    frame.to_csv(tmp_path / "mine.csv", sep=";", index=False)
    return tmp_path


def run(*overrides: str) -> None:
    compose(Path("params.yaml"), ["data=own", "data.path=mine.csv", *overrides], ROOT / "conf")
    given = OmegaConf.load("params.yaml")
    given.label.backend = "scripted"
    OmegaConf.save(given, "params.yaml")
    for stage in (stages.ingest, stages.label, stages.dataset):
        stage.main()


def test_without_gold(workspace, labels):
    run("data.text_column=review")
    counts = read_json(workspace / "metrics/ingest.json")
    assert (counts["rows_in"], counts["rows_out"], counts["duplicates"], counts["quarantined"]) == (122, 120, 1, 1)
    labelled = pd.read_parquet(workspace / "data/label/labels.parquet")
    assert labelled["label"].value_counts().to_dict() == {"обувь": 40, "посуда": 40, "одежда": 40}
    assert pd.read_parquet(workspace / "data/label/gold.parquet").empty
    dataset = load_from_disk(str(workspace / "data/dataset"))
    assert dataset["train"].features["label"].names == labels
    assert sum(len(rows) for rows in dataset.values()) == 120
    assert set(dataset["train"]["provenance"]) == {"real"}


def test_with_gold_which_never_enters_training(workspace):
    pd.DataFrame({"text": [REVIEWS[1], "туфли"], "label": ["посуда", "обувь"]}).to_csv("gold.csv", index=False)
    run("data.text_column=review", "data.gold.folder=.", "+data.gold.sets.checked=gold.csv")
    assert read_json(workspace / "metrics/ingest.json")["quarantine_reasons"] == {
        "empty": 1,
        "also in the gold file": 1,
    }
    assert len(pd.read_parquet(workspace / "data/label/gold.parquet")) == 2
    dataset = load_from_disk(str(workspace / "data/dataset"))
    assert not any(REVIEWS[1] in rows["text"] for rows in dataset.values())


def test_wrong_column_is_named(workspace):
    with pytest.raises(DataError, match="no column 'text'; it has 'review', 'stars'"):
        run()
