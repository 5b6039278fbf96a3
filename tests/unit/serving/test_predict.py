"""The API over real HTTP: what is answered, and what is refused in which words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from stages.inference.onnx_classifier import OnnxClassifier
from stages.ingestion.cleaning import clean
from stages.serving.app import create_app
from stages.serving.settings import Limits, Settings
from tests.unit.serving.conftest import LABELS, served, write_index

LIMITS = Limits(texts=5, characters=200_000, body=2**20)


@pytest.fixture(scope="module")
def client(student_folder: Path, index_folder: Path) -> Iterator[httpx2.Client]:
    with served(create_app(Settings(student_folder, index_folder, limits=LIMITS))) as client:
        yield client


def test_one_text_and_many_are_answered_as_the_student_does(client: httpx2.Client, student_folder: Path) -> None:
    student = OnnxClassifier(student_folder / "onnx")
    texts = ["сапоги и кеды", "платье", "сапоги и кеды", "<b>кофта</b>\u200b кофта"]
    (right,) = student.predict_proba(["сапоги и кеды"])
    one = client.post("/predict", json={"text": texts[0]}).json()
    assert one == {"category": "обувь", "confidence": pytest.approx(float(right.max()), abs=1e-4)}
    many = client.post("/predict", json={"texts": texts, "probabilities": True}).json()["answers"]
    assert [answer["category"] for answer in many] == ["обувь", "одежда", "обувь", "одежда"]
    assert many[0]["probabilities"] == pytest.approx(dict(zip(LABELS, map(float, right), strict=True)), abs=1e-4)
    # Cleaned as training's texts are.
    (marked_up,) = student.predict_proba([clean(texts[3])])
    assert many[3]["confidence"] == pytest.approx(float(marked_up.max()), abs=1e-4)


def test_a_text_of_which_nothing_is_left_gets_no_category(client: httpx2.Client) -> None:
    answers = client.post("/predict", json={"texts": ["", " \u200b\u0000 ", "заказ"]}).json()["answers"]
    assert [answer["category"] for answer in answers] == [None, None, "нет товара"]
    assert client.post("/predict", json={"text": "\t"}).json() == {"category": None, "confidence": None}


def test_signs_that_other_programs_stumble_over_are_answered(client: httpx2.Client) -> None:
    for text in ("сапоги\u0000", "сапоги 😀\u0301" * 50, "сапоги " * 14_000, "сапоги \ufffe\uffff"):
        assert client.post("/predict", json={"text": text}).json()["category"] == "обувь"


JSON = {"content-type": "application/json"}
REFUSED: dict[str, tuple[Any, int, str]] = {
    "nothing": (b"", 422, "Invalid JSON: EOF"),
    "no JSON": (b'{"text": ', 422, "Invalid JSON: EOF while parsing"),
    "no UTF-8": (b'{"text": "\xf1\xe0\xef"}', 422, "Invalid JSON: invalid unicode code point"),
    "half a surrogate": (rb'{"text": "\ud800"}', 422, "Invalid JSON: "),
    "nested": (b'{"texts": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422, "recursion limit exceeded"),
    "a list": (b'["\\u043a"]', 422, "object"),
    "neither": (b"{}", 422, 'send one of "text", a string, and "texts", a list of strings'),
    "both": (b'{"text": "a", "texts": ["a"]}', 422, "send one of"),
    "no text": (b'{"text": 5}', 422, "text: Input should be a valid string"),
    "no texts": (b'{"texts": ["a", null, 3, {}, []]}', 422, "texts[1]: Input should be a valid string"),
    "none at all": (b'{"texts": []}', 422, "texts: List should have at least 1 item"),
    "an unknown key": (b'{"text": "a", "batch": 3}', 422, "batch: Extra inputs are not permitted"),
    "too many": (json.dumps({"texts": ["a"] * 6}).encode(), 413, "6 texts; send at most 5"),
    "too long": (json.dumps({"text": "a" * 200_001}).encode(), 413, "the text has 200,001 characters"),
    "too long among others": (json.dumps({"texts": ["a", "a" * 200_001]}).encode(), 413, "texts[1] has 200,001"),
    "too much": (b'{"text": "' + b"a" * 2**20 + b'"}', 413, "more than 1,048,576 bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_words(name: str, client: httpx2.Client) -> None:
    body, status, words = REFUSED[name]
    for path in ("/predict", "/neighbours") if name in ("nothing", "no JSON", "nested", "too much") else ("/predict",):
        answer = client.post(path, content=body, headers=JSON)
        assert answer.status_code == status, answer.text
        assert words in answer.json()["detail"]
        assert len(answer.json()["detail"]) < 300
    assert client.post("/predict", json={"text": "сапоги"}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_is_not_said_to_be_json_is_refused(kind: str, client: httpx2.Client) -> None:
    answer = client.post("/predict", content=b'{"text": "a"}', headers={"content-type": kind})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


def test_an_endless_body_is_refused_while_it_comes(client: httpx2.Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'{"text": "'
        while sent < 2**30:
            sent += 2**16
            yield b"a" * 2**16

    # Or the connection is closed in the middle of it.
    with suppress(httpx2.WriteError, httpx2.ReadError, httpx2.RemoteProtocolError):
        assert client.post("/predict", content=endless(), headers=JSON).status_code == 413
    assert sent < 2**27


def test_a_body_that_does_not_come_is_not_waited_for(student_folder: Path, index_folder: Path) -> None:
    def slow() -> Iterator[bytes]:
        yield b'{"text": '
        time.sleep(1)
        yield b'"a"}'

    limits = replace(LIMITS, seconds=0.2)
    with served(create_app(Settings(student_folder, index_folder, limits=limits))) as client:
        answer = client.post("/predict", content=slow(), headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (408, "the body did not come within 0.2 seconds")


def test_the_nearest_examples_come_first(client: httpx2.Client) -> None:
    answer = client.post("/neighbours", json={"text": "сапоги", "k": 2}).json()
    assert answer["category"] == "обувь"
    assert answer["neighbours"] == [
        {"id": "сапоги", "text": "сапоги", "label": "обувь", "provenance": "real", "similarity": 1.0},
        {
            "id": "кеды",
            "text": "кеды",
            "label": "обувь",
            "provenance": "base",
            "similarity": pytest.approx(0.9487, abs=1e-3),
        },
    ]
    assert client.get("/neighbours", params={"text": "сапоги", "k": 2}).json() == answer
    assert client.get("/neighbours", params={"text": " "}).json()["neighbours"] == []
    refused = client.get("/neighbours", params={"text": "сапоги", "k": 0})
    assert (refused.status_code, refused.json()["detail"]) == (
        422,
        "query.k: Input should be greater than or equal to 1",
    )


@pytest.mark.parametrize("index", ["missing", "another"])
def test_without_its_own_index_a_student_is_served_all_the_same(
    index: str, student_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if index == "another":
        write_index(tmp_path / index, scale=-1)
    with served(create_app(Settings(student_folder, tmp_path / index))) as client:
        assert client.post("/predict", json={"text": "сапоги"}).json()["category"] == "обувь"
        refused = client.post("/neighbours", json={"text": "сапоги"})
        assert (refused.status_code, client.get("/health").json()["examples"]) == (404, 0)
        assert "dvc repro index" in client.get("/").text
    assert f"{tmp_path / index} {'is not of this student' if index == 'another' else 'does not exist'}" in caplog.text


def test_health_says_who_answers_and_metrics_what_was_done(student_folder: Path, index_folder: Path) -> None:
    with served(create_app(Settings(student_folder, index_folder))) as client:
        assert client.get("/health").json() == {
            "ready": True, "student": str(student_folder), "file": "model.onnx", "labels": LABELS, "examples": 4,
        }  # fmt: skip
        client.post("/predict", json={"texts": ["сапоги", "платье", "сапоги"]})
        client.post("/predict", json={"texts": []})
        client.get("/secret/5")
        figures = client.get("/metrics").text
    for line in (
        'razmetka_requests_total{method="POST",path="/predict",status="200"} 1.0',
        'razmetka_requests_total{method="POST",path="/predict",status="422"} 1.0',
        'razmetka_requests_total{method="any",path="other",status="404"} 1.0',
        'razmetka_request_seconds_count{path="/predict"} 2.0',
        "razmetka_batch_texts_count 1.0",
        "razmetka_reviews_total 2.0",
        "razmetka_waiting_texts 0.0",
    ):
        assert line in figures.splitlines()
    assert "process_resident_memory_bytes" in figures


def test_pages_load_nothing_from_elsewhere(client: httpx2.Client) -> None:
    for path in ("/", "/docs"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "POST <code>/predict</code>" in client.get("/docs").text
    described = client.get("/openapi.json").json()["paths"]
    assert {"/predict", "/neighbours", "/table", "/health", "/metrics"} == set(described)
    assert (
        "texts" in described["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    )


def test_beyond_the_limit_of_open_requests_health_is_still_told(student_folder: Path, index_folder: Path) -> None:
    limits = replace(LIMITS, requests=0)
    with served(create_app(Settings(student_folder, index_folder, limits=limits))) as client:
        refused = client.post("/predict", json={"text": "сапоги"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert client.get("/health").json()["ready"]
