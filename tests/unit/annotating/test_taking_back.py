"""Answers in the files that people bring: taken, or named with what to do, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages.annotating.answers import read_answers
from stages.annotating.batch import read_batch
from stages.annotating.taking_back import read_given
from stages.running.errors import DataError
from stages.running.io import read_table
from tests.workbooks import workbook

FOLDER = Path("annotations")
Command = Callable[..., str]


@pytest.fixture
def batch(run: pd.DataFrame, annotate: Command) -> pd.DataFrame:
    """An open batch of ten reviews."""
    annotate("--rows", "10")
    return read_batch(FOLDER)


def _filled(batch: pd.DataFrame, label: str) -> pd.DataFrame:
    return batch.assign(label=label)


def _kept() -> dict[str, str]:
    answers = read_answers(FOLDER / "answers.csv")
    return dict(zip(answers["text"], answers["label"], strict=True))


def _aside() -> pd.DataFrame:
    return read_table(FOLDER / "set_aside.csv")


def test_a_filled_batch_is_taken_with_how_it_was_drawn(batch: pd.DataFrame, annotate: Command) -> None:
    labels = [f" {name.upper()}  " for name in ("обувь", "нет товара")] * 5
    batch.assign(label=labels).to_csv(FOLDER / "batch.csv", index=False)
    told = annotate("--answers", "annotations/batch.csv")
    assert "annotations/answers.csv: 10 answers added, 0 changed, 0 were there." in told
    assert "Of this run's reviews 10 are answered: 5 to learn from, 2 for the confidence, 3 to be scored by." in told
    assert "make repro" in told
    answers = read_answers(FOLDER / "answers.csv").set_index("id").loc[batch["id"]]
    assert answers["text"].to_list() == batch["text"].to_list()
    assert answers["label"].to_list() == ["обувь", "нет товара"] * 5
    assert answers["drawn"].to_list() == batch["drawn"].to_list()
    assert not (FOLDER / "set_aside.csv").exists()
    assert "batch-001.csv" in annotate("--rows", "5"), "an answered batch makes room for the next"


@pytest.mark.parametrize("how", ["cp1251", "workbook", "jsonl"])
def test_what_spreadsheets_save_is_taken(how: str, batch: pd.DataFrame, annotate: Command) -> None:
    filled = _filled(batch, "обувь")
    path = Path(f"answers.{how}")
    if how == "cp1251":
        filled.to_csv(path, index=False, sep=";", encoding="cp1251", lineterminator="\r\n")
    elif how == "workbook":
        path.write_bytes(workbook([list(filled.columns), *filled.to_numpy().tolist()]))
    else:
        filled.to_json(path, orient="records", lines=True, force_ascii=False)
    assert "10 answers added" in annotate("--answers", str(path))
    assert _kept() == dict.fromkeys(batch["text"], "обувь")


def test_faults_are_named_and_good_rows_taken(
    batch: pd.DataFrame, annotate: Command, caplog: pytest.LogCaptureFixture
) -> None:
    filled = _filled(batch, "обувь")
    filled.loc[0, "label"] = "обувка"
    filled.loc[1, "label"] = ""
    filled.loc[2, "text"] = "Туфли, которых никто не видел"
    filled.loc[3, "id"] = "1,23457E+15"
    filled.loc[4, ["id", "text"]] = ["", "такого отзыва нет"]
    filled.loc[5, "text"] = batch.loc[6, "text"]
    filled.loc[6, "text"] = ""
    again = filled.loc[[7, 8]].assign(label=["одежда", "обувь"])
    pd.concat([filled, again]).to_csv("back.csv", index=False)
    told = annotate("--answers", "back.csv")
    assert "5 answers added" in told
    assert "6 rows were not taken; each is in annotations/set_aside.csv with its reason." in told
    assert _kept() == dict.fromkeys(batch.loc[[2, 3, 6, 8, 9], "text"], "обувь")

    aside = _aside().set_index("row")
    assert set(aside["file"]) == {"back.csv"}
    assert aside["label"].to_dict() == {
        "row 2": "обувка", "row 3": "", "row 6": "обувь", "row 7": "обувь", "row 9": "обувь", "row 12": "одежда"
    }  # fmt: skip
    reasons = {
        "row 2": "label 'обувка' is none of обувь, одежда, нет товара; correct it",
        "row 3": "no label; still to be answered",
        "row 6": "no review of this run or of a batch has its id or its text",
        "row 7": "its id is of one review and its text of another: columns were sorted apart; mend the file",
        "row 9": "answers to one review disagree (row 9 'обувь', row 12 'одежда'); keep one",
        "row 12": "answers to one review disagree (row 9 'обувь', row 12 'одежда'); keep one",
    }
    assert aside["reason"].to_dict() == reasons
    assert aside.loc["row 6", "text"] == "такого отзыва нет"
    for reason in reasons.values():
        assert reason in caplog.text
    shown = f"taken by its id, as the answer to {batch.loc[2, 'text']!r}"
    assert f"back.csv, row 4: its text is now 'Туфли, которых никто не видел'; {shown}" in caplog.text


def test_a_file_taken_twice_changes_no_byte_and_a_mended_one_what_was_mended(
    batch: pd.DataFrame, annotate: Command
) -> None:
    filled = _filled(batch, "обувь")
    filled.loc[:1, "label"] = ["обувка", ""]
    filled.to_csv("back.csv", index=False)
    filled.assign(label="куртка").to_csv("other.csv", index=False)
    annotate("--answers", "other.csv")
    annotate("--answers", "back.csv")
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    assert "0 answers added, 0 changed, 8 were there" in annotate("--answers", "back.csv")
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before
    assert _aside()["file"].value_counts().to_dict() == {"other.csv": 10, "back.csv": 2}
    _filled(batch, "обувь").to_csv("back.csv", index=False)
    assert "2 answers added, 0 changed, 8 were there" in annotate("--answers", "back.csv")
    assert _aside()["file"].value_counts().to_dict() == {"other.csv": 10}


def test_a_later_answer_wins_and_is_told(
    batch: pd.DataFrame, annotate: Command, caplog: pytest.LogCaptureFixture
) -> None:
    _filled(batch, "обувь").to_csv("first.csv", index=False)
    annotate("--answers", "first.csv")
    _filled(batch.head(1), "одежда").to_csv("second.csv", index=False)
    assert "0 answers added, 1 changed, 0 were there" in annotate("--answers", "second.csv")
    assert f"{batch.loc[0, 'text']!r} was 'обувь', is 'одежда' from now on" in caplog.text
    assert _kept()[batch.loc[0, "text"]] == "одежда"


def test_reviews_of_the_run_may_be_brought_by_text_alone(run: pd.DataFrame, annotate: Command) -> None:
    """Somebody's own file: other case, other spaces, no id."""
    own = pd.DataFrame({"text": [f"  {text.upper()}!! " for text in run["text"][:4]], "label": "Обувь"})
    own.to_csv("own.csv", index=False)
    assert "4 answers added" in annotate("--answers", "own.csv")
    answers = read_answers(FOLDER / "answers.csv")
    assert set(answers["text"]) == set(run["text"][:4])
    assert set(answers["drawn"]) == {""}


def test_answers_of_a_batch_that_was_put_aside_keep_how_they_were_drawn(batch: pd.DataFrame, annotate: Command) -> None:
    annotate("--rows", "10", "--new")
    _filled(batch, "обувь")[["id", "label"]].to_csv("late.csv", index=False)
    annotate("--answers", "late.csv")
    answers = read_answers(FOLDER / "answers.csv").set_index("id")
    assert answers.loc[batch["id"], "drawn"].to_list() == batch["drawn"].to_list()


def test_answers_of_another_run_are_told_and_kept(batch: pd.DataFrame, run: pd.DataFrame, annotate: Command) -> None:
    """The shop's file has changed since the batch was drawn."""
    _filled(batch, "обувь").to_csv("back.csv", index=False)
    reviews = read_table(Path("data/ingest/reviews.parquet"))
    reviews[~reviews["id"].isin(batch["id"][:3])].to_parquet("data/ingest/reviews.parquet")
    told = annotate("--answers", "back.csv")
    assert "10 answers added" in told
    assert "Of this run's reviews 7 are answered" in told
    assert "3 more answers are to reviews of other runs" in told


def _task(batch: pd.DataFrame, row: int, *annotations: dict[str, Any]) -> dict[str, Any]:
    data = {"review_id": batch.loc[row, "id"], "text": batch.loc[row, "text"], "drawn": "random", "split": "train"}
    return {"id": 100 + row, "data": data, "annotations": list(annotations), "predictions": []}


def _annotation(who: object, *choices: str, cancelled: bool = False) -> dict[str, Any]:
    result = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": list(choices)}}
    return {"completed_by": who, "result": [result] if choices else [], "was_cancelled": cancelled}


def test_an_export_of_label_studio_is_taken(batch: pd.DataFrame, annotate: Command) -> None:
    tasks = [
        _task(batch, 0, _annotation(1, "обувь")),
        _task(batch, 1, _annotation(1, "одежда"), _annotation({"id": 2, "email": "anna@example.org"}, "одежда")),
        _task(batch, 2, _annotation(1, "обувь"), _annotation({"id": 2, "email": "anna@example.org"}, "одежда")),
        _task(batch, 3, _annotation(1, "обувь", cancelled=True)),
        _task(batch, 4),
        _task(batch, 5, _annotation(1, "обувь", "одежда")),
        _task(batch, 6, _annotation(1, "обувка")),
        {**_task(batch, 7, _annotation(1, "обувь")), "data": {"text": batch.loc[7, "text"]}},
    ]
    Path("export.json").write_text(json.dumps(tasks, ensure_ascii=False, indent=2), encoding="utf-8")
    assert "3 answers added" in annotate("--answers", "export.json")
    taken = dict(zip(batch.loc[[0, 1, 7], "text"], ("обувь", "одежда", "обувь"), strict=True))
    assert _kept() == taken
    torn = "answers to one review disagree (task 102 by 1 'обувь', task 102 by anna@example.org 'одежда'); keep one"
    assert _aside().set_index("row")["reason"].to_dict() == {
        "task 102 by 1": torn,
        "task 102 by anna@example.org": torn,
        "task 103 by 1": "no label; still to be answered",
        "task 104": "no label; still to be answered",
        "task 105 by 1": "label 'обувь; одежда' is none of обувь, одежда, нет товара; correct it",
        "task 106 by 1": "label 'обувка' is none of обувь, одежда, нет товара; correct it",
    }


def test_the_shorter_exports_of_label_studio_are_taken(batch: pd.DataFrame, annotate: Command) -> None:
    """JSON-MIN and CSV: the data flat, the answer under the name of its control, `id` that of the task."""
    flat = [
        {
            "review_id": batch.loc[row, "id"], "text": batch.loc[row, "text"], "drawn": "random", "split": "train",
            "id": 100 + row, "label": label, "annotator": 1, "annotation_id": row, "lead_time": 2.5,
        }
        for row, label in enumerate(["обувь", "одежда", {"choices": ["обувь", "одежда"]}, None])
    ]  # fmt: skip
    Path("min.json").write_text("\ufeff \n" + json.dumps(flat), encoding="utf-8")
    assert "2 answers added" in annotate("--answers", "min.json")
    assert _aside()["row"].to_list() == ["task 102", "task 103"]
    columns = pd.DataFrame(flat[:2])
    columns.to_csv("min.csv", index=False)
    assert "0 answers added, 0 changed, 2 were there" in annotate("--answers", "min.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '[{"id": 1, "data": {}, "annotations": []}]',
            r"task 1 is not as Label Studio exports it \(KeyError: 'text'\)",
        ),
        ('[{"text": "а", "label": "обувь"}, 7]', r"task 2 is not as Label Studio exports it"),
        ('[{"data": {"text": "а"}, "annotations": [{"was_cancelled": false}]}]', r"task 1 .*'result'"),
        ('[{"text": "а"', r"bad\.file is not JSON .*; export it from Label Studio again"),
        ("text,comment\nа,б\n", r"bad\.file has no column 'label'; it has 'text', 'comment'"),
        ("label,comment\nобувь,б\n", r"bad\.file has neither a column 'id' nor a column 'text'"),
        ("", r"bad\.file is empty"),
        (None, r"bad\.file does not exist; check ANSWERS"),
    ],
    ids=["no-text", "number", "no-result", "cut", "no-label", "no-review", "empty", "missing"],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "bad.file"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_given(path)


def test_what_label_studio_gets_is_what_it_can_give_back(batch: pd.DataFrame, annotate: Command) -> None:
    """The tasks themselves, before anybody answered: nothing is taken for an answer, a prediction least of all."""
    assert "0 answers added" in annotate("--answers", "annotations/label_studio.json")
    assert _kept() == {}
    assert set(_aside()["reason"]) == {"no label; still to be answered"}
