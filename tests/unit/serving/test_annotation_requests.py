"""What the page to annotate on asks of the service, and how it is refused."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from stages.annotating.answers import merge, read_answers
from stages.running.spreadsheet import unescape_formulas
from stages.serving.app import create_app
from stages.serving.settings import Settings
from tests.batches import CATEGORIES, write_batch

TEXTS = ["кофта <b>тёплая</b>", '=HYPERLINK("http://shop.example";"кофта")', "сапоги 👢", "чайник\nсвистит"]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(Settings(model=None, answers=tmp_path / "answers.csv", categories=CATEGORIES))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    return write_batch(tmp_path, TEXTS)


def pressed(number: int, batch: str, review: str, kind: str = "answer", value: str = "одежда") -> dict[str, Any]:
    return {
        "press": f"{number:032x}", "batch": batch, "review": review, "kind": kind, "value": value, "who": "Анна",
        "browser": "b" * 32, "tab": "c" * 32, "seen": 0,
    }  # fmt: skip


def key(client: TestClient) -> str:
    return client.get("/annotate/batch").json()["batch"]


def test_without_a_batch_the_page_comes_all_the_same(client: TestClient) -> None:
    page = client.get("/annotate")
    assert page.status_code == 200
    assert "make annotate N=100" in page.text
    assert client.get("/annotate/batch").json() == {"batch": None, "categories": list(CATEGORIES), "reviews": []}
    assert client.post("/annotate/answers").json()["added"] == 0


def test_a_press_comes_back_in_the_log(client: TestClient, ids: list[str]) -> None:
    batch = key(client)
    told = client.post("/annotate/log", json=pressed(1, batch, ids[0])).json()
    assert told["batch"] == batch
    assert not told["written"]
    (press,) = told["presses"]
    assert (press["number"], press["review"], press["value"], press["who"]) == (1, ids[0], "одежда", "Анна")
    assert client.get(f"/annotate/log?batch={batch}&seen=1").json()["presses"] == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"value": "рыба"}, "'рыба' is none of the categories: бытовая техника, обувь"),
        ({"kind": "delete"}, "'answer', 'skip', 'comment' or 'undo'"),
        ({"press": "1"}, "should match pattern"),
        ({"kind": "comment", "value": "x" * 2001}, "at most 2000 characters"),
        ({"seen": 10**30}, "seen: Input should be less than or equal to"),
        ({"also": 1}, "Extra inputs are not permitted"),
    ],
    ids=["category", "kind", "press", "comment", "number", "field"],
)
def test_what_is_no_press_is_a_422_in_words(
    client: TestClient, ids: list[str], wrong: dict[str, Any], says: str
) -> None:
    answer = client.post("/annotate/log", json=pressed(1, key(client), ids[0]) | wrong)
    assert answer.status_code == 422
    assert says in answer.text
    assert client.get(f"/annotate/log?batch={key(client)}").json()["presses"] == []


def test_half_a_character_is_a_422(client: TestClient, ids: list[str]) -> None:
    content = '{"press": "\\ud83d", "batch": "", "review": "", "kind": "comment", "value": "\\ud83d"}'
    answer = client.post("/annotate/log", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert client.get("/annotate/log?batch=&seen=1000000000000000000000").status_code == 422


def test_an_unknown_batch_is_a_409_and_another_site_a_403(client: TestClient, ids: list[str]) -> None:
    assert client.post("/annotate/log", json=pressed(1, "another", ids[0])).status_code == 409
    elsewhere = {"origin": "http://shop.example"}
    assert client.post("/annotate/log", json=pressed(1, key(client), ids[0]), headers=elsewhere).status_code == 403
    assert client.post("/annotate/answers", headers=elsewhere).status_code == 403


def test_answers_are_written_once_and_a_changed_one_is_told(client: TestClient, ids: list[str], tmp_path: Path) -> None:
    batch = key(client)
    for number, value in enumerate(["одежда", "одежда", "обувь"]):
        client.post("/annotate/log", json=pressed(number, batch, ids[number], value=value))
    client.post("/annotate/log", json=pressed(3, batch, ids[3], "skip", ""))
    file = tmp_path / "answers.csv"
    done = client.post("/annotate/answers").json()
    assert done == {"file": str(file), "added": 3, "changed": 0, "same": 0, "taken_back": []}
    rows = read_answers(file).set_index("id")
    assert rows.loc[ids[:3], "label"].tolist() == ["одежда", "одежда", "обувь"]
    assert rows.loc[ids[:3], "text"].tolist() == TEXTS[:3]
    assert rows.loc[ids[:3], "drawn"].tolist() == ["random", "random", "uncertainty"]

    client.post("/annotate/log", json=pressed(4, batch, ids[0], value="текстиль"))
    client.post("/annotate/log", json=pressed(5, batch, ids[1], "undo", f"{1:032x}"))
    done = client.post("/annotate/answers").json()
    assert (done["added"], done["changed"], done["same"], done["taken_back"]) == (0, 1, 1, [TEXTS[1]])
    assert client.get(f"/annotate/log?batch={batch}").json()["written"]


def test_what_others_answered_stays_in_the_file(client: TestClient, ids: list[str], tmp_path: Path) -> None:
    others = write_batch(tmp_path / "other", ["ложка"])
    row = {"id": others[0], "text": "ложка", "label": "посуда", "drawn": ""}
    merge(tmp_path / "answers.csv", pd.DataFrame([row]), CATEGORIES)
    client.post("/annotate/log", json=pressed(1, key(client), ids[2], value="обувь"))
    assert client.post("/annotate/answers").json()["added"] == 1
    assert set(read_answers(tmp_path / "answers.csv")["label"]) == {"посуда", "обувь"}


def test_a_press_for_the_batch_before_is_saved_and_written(client: TestClient, ids: list[str], tmp_path: Path) -> None:
    before = key(client)
    write_batch(tmp_path, ["ложка"])
    told = client.post("/annotate/log", json=pressed(1, before, ids[0])).json()
    assert told["batch"] not in (before, None)
    assert len(told["presses"]) == 1
    assert client.post("/annotate/answers").json()["added"] == 1
    assert read_answers(tmp_path / "answers.csv")["id"].tolist() == [ids[0]]


def test_the_download_is_the_batch_filled_in(client: TestClient, ids: list[str], tmp_path: Path) -> None:
    batch = key(client)
    client.post("/annotate/log", json=pressed(1, batch, ids[1]))
    client.post("/annotate/log", json=pressed(2, batch, ids[1], "comment", "=1+1"))
    answer = client.get("/annotate/batch.csv")
    assert "filename=batch.csv" in answer.headers["content-disposition"]
    assert "'=HYPERLINK" in answer.text
    filled = unescape_formulas(pd.read_csv(io.StringIO(answer.text), dtype=str, keep_default_na=False))
    assert filled["text"].tolist() == TEXTS
    assert filled["label"].tolist() == ["", "одежда", "", ""]
    assert filled["comment"].tolist() == ["", "=1+1", "", ""]
    (tmp_path / "batch.csv").write_bytes(answer.content)
    assert key(client) == batch


def test_a_batch_whose_texts_a_spreadsheet_changed_is_told(client: TestClient, ids: list[str], tmp_path: Path) -> None:
    file = tmp_path / "batch.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("сапоги 👢", "сапоги ?"), encoding="utf-8")
    answer = client.get("/annotate/batch")
    assert answer.status_code == 503
    assert "the text of 1 reviews is not the one that was drawn, that of 'сапоги ?'" in answer.json()["detail"]


def test_an_answer_of_categories_that_are_gone_is_not_written(ids: list[str], tmp_path: Path) -> None:
    for categories, value in (("рыба", "мясо"), "рыба"), (("мясо", "овощи"), None):
        app = create_app(Settings(model=None, answers=tmp_path / "answers.csv", categories=categories))
        with TestClient(app, base_url="http://localhost") as client:
            if value:
                client.post("/annotate/log", json=pressed(1, key(client), ids[0], value=value))
            else:
                assert client.post("/annotate/answers").json()["added"] == 0
