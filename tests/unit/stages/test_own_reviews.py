"""A user's own file, with and without gold, from `ingest` to `dataset` with a scripted teacher and generator."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import load_dataset
from omegaconf import OmegaConf

import stages.analyse
import stages.correct
import stages.curate
import stages.dataset
import stages.draw
import stages.embed
import stages.generate
import stages.ingest
import stages.label
import stages.measure
import stages.mix
from stages.common.provenances import FINAL, HUMAN, PROVENANCES, SYNTHETIC_STEPS
from stages.compose import compose
from stages.llm.backend import Completion
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.errors import DataError
from stages.running.io import read_json, read_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary
from tests.conftest import ROOT

REVIEWS = [f"{stem} номер {number} как на фото" for number in range(40) for stem in ("обувь", "посуда", "одежда")]


@pytest.fixture
def workspace(tmp_path, monkeypatch, scripted_embedder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw").symlink_to(ROOT / "data/raw")
    frame = pd.DataFrame({"review": [*REVIEWS, "", REVIEWS[0].upper()], "stars": 5})
    frame.to_csv(tmp_path / "mine.csv", sep=";", index=False)
    return tmp_path


def run(*overrides: str) -> None:
    # A second opinion on scripted embeddings would be a guess.
    own = [
        "data=own",
        "data.path=mine.csv",
        "plan.wanted=6",
        "generate.filters.min_noted_share=0.0",
        "curate.policy=none",
        "generate.filters.readers=both",
    ]
    compose(Path("params.yaml"), [*own, *overrides], ROOT / "conf")
    given = OmegaConf.load("params.yaml")
    given.label.backend = given.generate.backend = "scripted"
    OmegaConf.save(given, "params.yaml")
    for stage in (
        stages.ingest, stages.label, stages.embed, stages.mix, stages.curate, stages.correct, stages.analyse,
    ):  # fmt: skip
        stage.main()
    stages.generate.main()
    stages.dataset.main()
    stages.measure.main()


def draw() -> pd.DataFrame:
    """The table of points."""
    stages.draw.main()
    return pd.read_csv("metrics/pictures/points.csv", keep_default_na=False)


def test_without_gold(workspace, labels):
    run("data.text_column=review")
    counts = read_json(workspace / "data/ingest/counts.json")
    assert (counts["rows_in"], counts["rows_out"], counts["duplicates"], counts["quarantined"]) == (122, 120, 1, 1)
    labelled = pd.read_parquet(workspace / "data/label/labels.parquet")
    assert labelled["label"].value_counts().to_dict() == {"обувь": 40, "посуда": 40, "одежда": 40}
    assert pd.read_parquet(workspace / "data/label/gold.parquet").empty
    dataset = load_dataset(str(workspace / "data/dataset"), cache_dir=str(workspace / "hf"))
    assert dataset["train"].features["label"].names == labels
    rows = pd.concat([part.to_pandas() for part in dataset.values()])
    assert (rows["provenance"] == "real").sum() == 120
    assert set(rows["provenance"]) == set(PROVENANCES) - {HUMAN}
    for name in ("label", "soft_labels", "weight"):
        assert rows[name].map(str).equals(rows[f"machine_{name}"].map(str)), "nobody answered"
    assert set(dataset["validation"]["provenance"]) == {"real"}


def test_all_classes_get_written_rows_and_rare_ones_synthetic_rows(workspace, labels):
    # Whatever a second opinion on scripted embeddings is sure of.
    run("data.text_column=review", "mix.min_confidence=0.1")
    dataset = load_dataset(str(workspace / "data/dataset"), cache_dir=str(workspace / "hf"))["train"].to_pandas()
    dataset["label"] = [labels[index] for index in dataset["label"]]
    written = dataset[dataset["provenance"] == "written"]
    vocabulary = read_vocabulary(
        VocabularyFiles(seeds="data/raw/vocabulary/seeds.csv", attributes="data/raw/vocabulary/attributes.yaml"), labels
    )
    mixed = read_table(workspace / "data/mix/rows.parquet")
    assert not mixed.empty
    expected = pd.concat([vocabulary.examples(), vocabulary.names(), mixed])
    assert sorted(zip(written["text"], written["label"], strict=True)) == sorted(
        zip(expected["text"], expected["label"], strict=True)
    )
    assert set(written["label"]) == set(labels)
    for soft_labels, label in zip(written["soft_labels"], written["label"], strict=True):
        assert soft_labels[labels.index(label)] == soft_labels.sum() == 1
    # The scripted teacher reads toys in whatever the scripted generator writes; the other classes get no rows.
    synthetic = dataset[dataset["provenance"].isin(SYNTHETIC_STEPS)]
    assert set(synthetic["label"]) == {"товары для детей"}
    for step in SYNTHETIC_STEPS:
        metrics = read_json(workspace / f"data/measures/{step}.json")
        rejected = pd.read_csv(workspace / f"data/measures/rejected_{step}.csv")
        accepted = (synthetic["provenance"] == step).sum()
        assert metrics["candidates"]["accepted"] == accepted > 0
        assert sum(metrics["candidates"].values()) == accepted + len(rejected)
        assert metrics["shortfall"]["текстиль"] == 2
        assert metrics["measures"]["rows"]["synthetic"] == accepted
        measures = pd.read_csv(workspace / f"data/measures/{step}.csv")
        assert set(measures["class"]) == {"all", *labels}
    points = draw()
    assert (points["provenance"] != "real").sum() == len(synthetic)
    assert len(list((workspace / "metrics/pictures").glob("*.png"))) == 7
    of_textiles = (expected["label"] == "текстиль").sum()
    assert f"| текстиль | 0 | {of_textiles} | 0 | 0 | 0 |" in (workspace / "data/dataset/README.md").read_text()


@pytest.mark.parametrize("nothing", ["generate.filters.min_chars=399", "plan.rare_share=0.0"])
def test_a_run_without_synthetic_rows_goes_all_the_way(nothing, workspace):
    run("data.text_column=review", nothing)
    for step in SYNTHETIC_STEPS:
        assert read_json(workspace / f"data/measures/{step}.json")["candidates"]["accepted"] == 0
        assert pd.read_parquet(workspace / f"data/synthetic/{step}/accepted.parquet").empty
    # Nothing was accepted in the first step, so the next ones had nothing to tell again.
    assert read_json(workspace / f"data/measures/{FINAL}.json")["accepted_share"] is None
    assert set(draw()["provenance"]) == {"real"}
    assert len(list((workspace / "metrics/pictures").glob("*.pdf"))) == 7
    provenances = set(
        load_dataset(str(workspace / "data/dataset"), cache_dir=str(workspace / "hf"))["train"]["provenance"]
    )
    assert provenances == {"real", "written"}


def test_control_characters_of_a_generator_do_no_harm(workspace, monkeypatch):
    complete = ScriptedBackend.complete

    def strange(self, prompts, samplings):
        for index, written in complete(self, prompts, samplings):
            yield index, replace(written, text=f"\x00{written.text}\x1b и ещё немного слов\x07\u2028=\x7f")

    monkeypatch.setattr(ScriptedBackend, "complete", strange)
    run("data.text_column=review", "label.explanations=none")
    dataset = load_dataset(str(workspace / "data/dataset"), cache_dir=str(workspace / "hf"))["train"].to_pandas()
    synthetic = dataset.loc[dataset["provenance"].isin(SYNTHETIC_STEPS), "text"].to_list()
    assert synthetic
    assert all(text.isprintable() for text in synthetic)
    points = draw()
    assert points.loc[points["provenance"] != "real", "text"].to_list() == synthetic
    assert not pd.read_csv(workspace / "data/measures/rejected_style.csv")["text"].isna().any()


def test_with_gold_which_never_enters_training(workspace):
    # A product's bare name, of which the vocabulary has the same: here it is scored.
    pd.DataFrame({"text": [REVIEWS[1], "Графин!"], "label": ["посуда", "посуда"]}).to_csv("gold.csv", index=False)
    run("data.text_column=review", "data.gold.folder=.", "+data.gold.sets.checked=gold.csv")
    assert read_json(workspace / "data/ingest/counts.json")["quarantine_reasons"] == {
        "empty": 1,
        "also in a checked file": 1,
    }
    assert len(pd.read_parquet(workspace / "data/label/gold.parquet")) == 2
    dataset = load_dataset(str(workspace / "data/dataset"), cache_dir=str(workspace / "hf"))
    assert not any(REVIEWS[1] in rows["text"] for rows in dataset.values())
    assert {"графин", "кувшин"} & set(dataset["train"]["text"]) == {"кувшин"}


def test_calibration_rows_are_neither_trained_on_nor_scored(workspace, caplog):
    pd.DataFrame({"text": ["туфли"], "label": ["обувь"]}).to_csv("gold.csv", index=False)
    checked = {"text": [REVIEWS[1], "Туфли!", "чашка"], "label": ["посуда", "обувь", "посуда"]}
    pd.DataFrame(checked).to_csv("checked.csv", index=False)
    run(
        "data.text_column=review", "data.gold.folder=.", "+data.gold.sets.gold=gold.csv",
        "data.gold.calibration=checked.csv",
    )  # fmt: skip
    counts = read_json(workspace / "data/ingest/counts.json")
    assert (counts["gold"], counts["calibration"]) == ({"gold": 1}, 2)
    assert counts["quarantine_reasons"] == {"empty": 1, "also in a checked file": 1}
    assert "checked.csv: 1 rows are left out, as a gold set has them too" in caplog.text
    assert pd.read_parquet("data/ingest/calibration.parquet")["text"].to_list() == [REVIEWS[1], "чашка"]
    assert len(pd.read_parquet("data/label/gold.parquet")) == 1
    dataset = load_dataset(str(workspace / "data/dataset"), cache_dir=str(workspace / "hf"))
    assert not any(REVIEWS[1] in rows["text"] for rows in dataset.values())


@pytest.mark.parametrize(
    ("file", "message"),
    [("gold.csv", "data.gold.calibration=gold.csv: a gold set has all"), ("no.csv", "check data.gold.calibration")],
)
def test_a_calibration_file_of_no_use_is_named(file, message, workspace):
    pd.DataFrame({"text": ["туфли"], "label": ["обувь"]}).to_csv("gold.csv", index=False)
    with pytest.raises(DataError, match=message):
        run(
            "data.text_column=review", "data.gold.folder=.", "+data.gold.sets.gold=gold.csv",
            f"data.gold.calibration={file}",
        )  # fmt: skip


@pytest.mark.parametrize("place", ["sets.checked", "calibration"])
def test_a_seed_in_a_checked_file_is_a_leak(place, workspace):
    seed = pd.read_csv("data/raw/vocabulary/seeds.csv").iloc[-1]
    pd.DataFrame({"text": [seed["text"].upper()], "label": [seed["label"]]}).to_csv("checked.csv", index=False)
    with pytest.raises(DataError, match=r"vocabulary\.seeds, row \d+: .*is also in a checked file"):
        run("data.text_column=review", "data.gold.folder=.", f"++data.gold.{place}=checked.csv")


def test_wrong_column_is_named(workspace):
    with pytest.raises(DataError, match="no column 'text'; it has 'review', 'stars'"):
        run()


def test_labels_are_curated_without_a_look_at_the_gold_labels(workspace):
    seen = []
    for label in ("посуда", "обувь"):
        pd.DataFrame({"text": ["посуда хороша", "туфли"], "label": [label] * 2}).to_csv("gold.csv", index=False)
        run(
            "data.text_column=review", "data.gold.folder=.", "+data.gold.sets.checked=gold.csv",
            "curate.policy=combine", "curate.teacher_weight=0.0", "label.explanations=none",
        )  # fmt: skip
        seen.append(pd.read_parquet("data/curate/labels.parquet"))
        changed = read_json(workspace / "data/measures/curation.json")["changed"]
        assert changed == len(pd.read_csv("data/measures/changes.csv")) > 0
    pd.testing.assert_frame_equal(*seen)
    # Where the teacher has nothing to say, what is learnt from is the second opinion alone.
    pooled, opinion = (np.stack(seen[0][column]) for column in ("probabilities", "second_opinion"))
    np.testing.assert_allclose(pooled, opinion, atol=1e-6)


def test_what_two_stages_set_aside_runs_in_no_spreadsheet(workspace, monkeypatch):
    ingested, labelled = ["=1+1", "5;=1+1"], ["=обувь, цвет (не тот)", "обувь мала;=1+1"]
    frame = pd.DataFrame({"text": [*REVIEWS, *ingested, *labelled], "stars": 5})
    frame.to_csv(workspace / "mine.csv", sep=";", index=False)

    def without_words(self, prompts, samplings):
        for index, prompt in enumerate(prompts):
            text = "=1+1" if any(review in prompt for review in labelled) else "обувь мала"
            yield index, Completion(text, mean_logprob=-0.1)

    monkeypatch.setattr(ScriptedBackend, "complete", without_words)
    compose(Path("params.yaml"), ["data=own", "data.path=mine.csv", "label.explanations=all"], ROOT / "conf")
    given = OmegaConf.load("params.yaml")
    given.label.backend = "scripted"
    OmegaConf.save(given, "params.yaml")
    stages.ingest.main()
    stages.label.main()
    set_aside = pd.read_csv("data/ingest/quarantine.csv")
    assert set_aside["raw"].to_list() == ["'=1+1", "5;'=1+1"]
    assert read_table(Path("data/ingest/quarantine.csv"))["raw"].to_list() == ingested
    set_aside = pd.read_csv("data/label/quarantine.csv")
    assert sorted(set_aside["text"]) == sorted(["'=обувь, цвет (не тот)", "обувь мала;'=1+1"])
    assert not set_aside["raw"].str.contains(r"(?:^|[;,\n\t])\s*=").any()
