"""A review that is too long for the teacher is one quarantined row; what follows goes on without it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import stages.evaluate
import stages.ingest
import stages.label
from stages.common.arrays import probability_matrix
from stages.common.gold import drawn_rows
from stages.common.provenances import PROVENANCES
from stages.composition.compose import compose
from stages.llm.backend import Choice, Refusal
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.errors import DataError
from stages.running.io import write_table
from tests.conftest import ROOT

LONG = "обувь " * 200
REVIEWS = [f"отзыв {number}: обувь жмёт" for number in range(20)]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with reviews and checked ones, of both of which some are long, and a teacher that refuses those."""

    def choose(self, prompts, answers, reasoning=None) -> Iterator[tuple[int, Choice | Refusal]]:
        for index, choice in plain(self, prompts, answers, reasoning):
            yield index, Refusal("its prompt of 3000 tokens") if LONG.strip() in prompts[index] else choice

    plain = ScriptedBackend.choose
    monkeypatch.setattr(ScriptedBackend, "choose", choose)
    monkeypatch.chdir(tmp_path)
    for name in ("conf", "data/raw"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).symlink_to(ROOT / name)
    pd.DataFrame({"text": [*REVIEWS, LONG]}).to_csv("reviews.csv", index=False)
    checked = {"text": ["туфли", "чашка", f"{LONG} и посуда"], "label": ["обувь", "посуда", "посуда"]}
    pd.DataFrame(checked).to_csv("gold.csv", index=False)
    compose(
        Path("params.yaml"),
        [
            "data=own", "data.path=reviews.csv", "data.text_column=text", "data.gold.folder=.",
            "+data.gold.sets.checked=gold.csv", "label.backend=scripted", "label.explanations=none",
        ],
    )  # fmt: skip
    stages.ingest.main()
    return tmp_path


def test_the_row_is_quarantined_with_the_reason_and_all_others_are_labelled(workspace, caplog):
    stages.label.main()
    labelled = pd.read_parquet("data/label/labels.parquet")
    assert sorted(labelled["text"]) == sorted(REVIEWS)
    quarantined = pd.read_csv("data/label/quarantine.csv")
    assert quarantined[["text", "failure"]].to_numpy().tolist() == [[LONG.strip(), "its prompt of 3000 tokens"]]
    assert len(pd.read_parquet("data/label/gold.parquet")) == 2
    assert "1 checked reviews got no label from the teacher, the first one: its prompt of 3000 tokens" in caplog.text


def evaluated():
    """Scores on all checked rows, by who answered; students answer as the teacher does."""
    gold = pd.read_parquet("data/ingest/gold.parquet")
    answers = pd.read_parquet("data/label/gold.parquet")
    Path("data/curate").mkdir()
    for name in ("gold", "labels"):
        shutil.copy(f"data/label/{name}.parquet", f"data/curate/{name}.parquet")
    write_table(Path("data/answers/rows.parquet"), gold)
    sure = pd.DataFrame({"probabilities": list(probability_matrix(answers)[[0, 0, 0]])})
    for student in PROVENANCES:
        write_table(Path(f"data/answers/{student}.parquet"), sure)
    stages.evaluate.main()
    return pd.read_csv("metrics/scores.csv").query("subset == 'all'").set_index("who")


def test_a_checked_row_without_an_answer_counts_as_wrong(workspace):
    stages.label.main()
    scores = evaluated()
    assert scores.loc["teacher", "rows"] == 3
    assert scores.loc["teacher", "accuracy"] <= 2 / 3
    predicted = pd.read_csv("data/evaluate/predictions.csv", keep_default_na=False).set_index("text")["teacher"]
    assert predicted[f"{LONG} и посуда".replace("  ", " ")] == ""


def test_of_a_gold_set_the_teacher_is_asked_a_part_and_scored_on_it(workspace):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("gold_rows: 90", "gold_rows: 2"))
    stages.label.main()
    scores = evaluated()
    assert scores.loc[["teacher", "curated"], "rows"].to_list() == [2, 2]
    assert set(scores.loc[list(PROVENANCES), "rows"]) == {3}
    said = pd.read_csv("data/evaluate/predictions.csv", keep_default_na=False)["teacher"]
    assert (said != "").sum() <= 2


def test_the_rows_drawn_stay_when_others_come_in():
    gold = pd.DataFrame({"gold_set": ["a"] * 5 + ["b"] * 2, "id": [*"edcba", *"xy"]})
    assert drawn_rows(gold, 2)["id"].to_list() == [*"ba", *"xy"]
    assert drawn_rows(gold.iloc[1:], 2)["id"].to_list() == [*"ba", *"xy"]
    pd.testing.assert_frame_equal(drawn_rows(gold, None), gold)


def test_where_no_row_fits_one_line_says_why(workspace, monkeypatch):
    refuse = "its prompt of 3000 tokens"
    monkeypatch.setattr(
        ScriptedBackend, "choose", lambda self, prompts, *_: iter(enumerate([Refusal(refuse)] * len(prompts)))
    )
    params = Path("params.yaml").read_text().replace("calibration: contextual", "calibration: none")
    Path("params.yaml").write_text(params)
    with pytest.raises(DataError, match=f"no review got a label from the teacher. The first one: {refuse}"):
        stages.label.main()
