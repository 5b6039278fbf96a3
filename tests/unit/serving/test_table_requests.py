"""`/table`: whatever format comes, the rows come back with what the student says of them."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pandas as pd
import pytest

from stages.reading import table
from stages.serving.app import create_app
from stages.serving.settings import Limits, Settings
from tests.unit.serving.conftest import served

ROWS = [("1", "сапоги"), ("2", "=платье(1)"), ("3", ""), ("4", "заказ, «заказ»\nзаказ")]
EXPECTED = ["обувь", "одежда", "", "нет товара"]


@pytest.fixture(scope="module")
def client(student_folder: Path, index_folder: Path) -> Iterator[httpx2.Client]:
    limits = Limits(rows=50, file=2**20, unpacked_mib=2, tables=1)
    with served(create_app(Settings(student_folder, index_folder, limits=limits))) as client:
        yield client


def delimited(encoding: str, delimiter: str) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([("№", "отзыв"), *ROWS])
    return file.getvalue().encode(encoding)


def packed(kind: str) -> bytes:
    file = io.BytesIO()
    frame = pd.DataFrame(ROWS, columns=["№", "отзыв"])
    if kind == "parquet":
        frame.to_parquet(file)
        return file.getvalue()
    return gzip.compress(frame.to_json(orient="records", lines=True, force_ascii=False).encode())


TABLES = {
    "UTF-8": delimited("utf-8", ","),
    "cp1251": delimited("cp1251", ";"),
    "UTF-16": delimited("utf-16", "\t"),
    "Parquet": packed("parquet"),
    "packed JSON lines": packed("json"),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_row_comes_back_with_its_category(name: str, client: httpx2.Client) -> None:
    answer = client.post("/table", params={"column": "отзыв"}, content=TABLES[name])
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-rows"], answer.headers["content-type"]) == ("4", "text/csv; charset=utf-8")
    given = [*csv.DictReader(io.StringIO(answer.text, newline=""))]
    assert [row["category"] for row in given] == EXPECTED
    assert [row["№"] for row in given] == ["1", "2", "3", "4"]
    # No spreadsheet runs what a stranger wrote.
    assert given[1]["отзыв"] == "'=платье(1)"
    assert given[3]["отзыв"] == ROWS[3][1]
    assert given[2]["confidence"] == ""
    # Nothing of it is kept.
    assert table._rows.cache_info().currsize == 0


REFUSED = {
    "empty": (b"", 422, "the file is empty"),
    "no such column": (
        TABLES["UTF-8"].replace("отзыв".encode(), b"review"),
        422,
        "no column 'отзыв'; it has '№', 'review'",
    ),
    "a PDF": (b"%PDF-1.7", 422, "the file is a PDF, not a table"),
    "damaged": (b"PAR1" + b"x" * 100, 422, "not a readable Parquet file"),
    "too many rows": ("отзыв\n" + "сапоги\n" * 51, 413, "51 rows, of at most 50"),
    "too large": (b"x" * (2**20 + 1), 413, "more than 1,048,576 bytes"),
    "a bomb": (gzip.compress(b"x\n" * 2**21), 413, "unpacks to more than 2 MiB"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_in_words(name: str, client: httpx2.Client) -> None:
    body, status, words = REFUSED[name]
    answer = client.post("/table", params={"column": "отзыв"}, content=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert "/tmp" not in answer.text
    # Its place is free again.
    assert client.post("/table", params={"column": "отзыв"}, content=TABLES["UTF-8"]).status_code == 200


def test_more_tables_than_fit_are_told_to_wait(client: httpx2.Client) -> None:
    def slow() -> Iterator[bytes]:
        yield b"text\n"
        refused = httpx2.post(f"{client.base_url}/table", content=TABLES["UTF-8"], timeout=20)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        yield "сапоги\n".encode()

    assert client.post("/table", content=slow()).status_code == 200
