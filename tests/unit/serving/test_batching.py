"""Batches are of what waits, like with like, by turns; who has gone costs nothing; too much is refused."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait

import httpx2
import numpy as np
import pytest
from fastapi import FastAPI

from stages.serving.app import service
from stages.serving.batching import Batcher, OverloadedError, StoppedError
from stages.serving.settings import Limits, Settings
from tests.unit.serving.conftest import Scripted, until

Serve = Callable[[FastAPI], httpx2.Client]


@pytest.fixture
def student() -> Scripted:
    return Scripted()


@pytest.fixture
def batcher(student: Scripted) -> Iterator[Batcher]:
    made = Batcher(student, batch_size=4, most_waiting=20, observe=lambda _: None)
    yield made
    student.gate.set()
    made.stop()


def hold(student: Scripted, batcher: Batcher) -> None:
    """Keep the thread at a text of its own."""
    student.gate.clear()
    batcher.submit(["занят"])
    until(lambda: student.batches == [["занят"]])


def test_what_came_meanwhile_is_a_batch_of_like_lengths_by_turns(student: Scripted, batcher: Batcher) -> None:
    hold(student, batcher)
    many = batcher.submit(["а" * length for length in (1, 30, 2, 29, 3, 28)])
    one = batcher.submit(["б" * 30])
    student.gate.set()
    wait([many, one], timeout=10)
    lengths = [sorted(map(len, texts)) for texts in student.batches[1:]]
    # The first text of the first request and those like it; then the second request's, with what is left.
    assert lengths == [[1, 2, 3, 28], [29, 30, 30]]
    assert many.result().embedding[:, 0].tolist() == [1, 30, 2, 29, 3, 28]
    assert one.result().probabilities == pytest.approx(np.array([[1 / 31, 30 / 31]]))


def test_a_single_text_does_not_wait_for_a_long_request(student: Scripted, batcher: Batcher) -> None:
    hold(student, batcher)
    long = batcher.submit(["а" * 5] * 12)
    one = batcher.submit(["б" * 50])
    student.gate.set()
    wait([long, one], timeout=10)
    assert ["б" * 50 in texts for texts in student.batches] == [False, False, True, False, False]


def test_who_has_gone_costs_no_batch(student: Scripted, batcher: Batcher) -> None:
    hold(student, batcher)
    gone, stays = batcher.submit(["ушёл"] * 9), batcher.submit(["ждёт"])
    assert gone.cancel()
    student.gate.set()
    stays.result(10)
    assert student.batches == [["занят"], ["ждёт"]]


def test_a_failure_is_told_to_those_it_concerns(student: Scripted, batcher: Batcher) -> None:
    hold(student, batcher)
    failing, other = batcher.submit(["упадёт"] + ["а" * 99] * 9), batcher.submit(["а" * 999])
    student.gate.set()
    with pytest.raises(RuntimeError, match="out of memory"):
        failing.result(10)
    assert other.result(10).embedding.tolist() == [[999]]
    assert batcher.ready


def test_too_much_is_refused_and_a_stop_answers_what_waits(student: Scripted, batcher: Batcher) -> None:
    hold(student, batcher)
    # Nothing waits: even more than may is taken, or it never would be.
    first = batcher.submit(["а"] * 21)
    with pytest.raises(OverloadedError) as refused:
        batcher.submit(["б"])
    assert refused.value.args[0] >= 1
    stopping = threading.Thread(target=batcher.stop)
    stopping.start()
    until(lambda: not batcher.ready)
    with pytest.raises(StoppedError):
        batcher.submit(["в"])
    student.gate.set()
    stopping.join(10)
    assert len(first.result(0).embedding) == 21


def test_over_http_overload_is_503_with_a_time_to_wait(student: Scripted, serve: Serve) -> None:
    client = serve(service(Settings(None, limits=Limits(waiting=3)), student))
    student.gate.clear()
    answers: list[httpx2.Response] = []

    def ask() -> None:
        answers.append(httpx2.post(f"{client.base_url}/predict", json={"texts": ["а", "бб"]}, timeout=20))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) >= 4)
    student.gate.set()
    for thread in threads:
        thread.join()
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200, 200, 503, 503, 503, 503]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert int(refused.headers["retry-after"]) >= 1
    assert "too many texts wait" in refused.json()["detail"]


def test_over_http_a_client_that_goes_away_costs_nothing(student: Scripted, serve: Serve) -> None:
    client = serve(service(Settings(None), student))
    student.gate.clear()
    busy = threading.Thread(target=lambda: client.post("/predict", json={"text": "занят"}))
    busy.start()
    until(lambda: student.batches == [["занят"]])
    body = b'{"text": "a"}'
    head = f"POST /predict HTTP/1.1\r\nHost: {client.base_url.host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port)) as gone:
        gone.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.2)
    figures = f"{client.base_url}/metrics"
    until(lambda: 'path="/predict",status="499"' in httpx2.get(figures).text)
    student.gate.set()
    busy.join()
    assert student.batches == [["занят"]]


def test_over_http_concurrent_requests_share_batches(student: Scripted, serve: Serve) -> None:
    client = serve(service(Settings(None), student))
    student.gate.clear()
    given: dict[int, str] = {}

    def ask(length: int) -> None:
        answer = httpx2.post(f"{client.base_url}/predict", json={"text": "а" * length}, timeout=20).json()
        given[length] = answer["confidence"]

    threads = [threading.Thread(target=ask, args=[length]) for length in range(1, 18)]
    # The first is in the batch that the gate holds before the others come.
    threads[0].start()
    until(lambda: bool(student.batches))
    for thread in threads[1:]:
        thread.start()
    figures = f"{client.base_url}/metrics"
    until(lambda: "razmetka_waiting_texts 16.0" in httpx2.get(figures).text)
    student.gate.set()
    for thread in threads:
        thread.join()
    assert given == {length: round(max(1, length) / (1 + length), 4) for length in range(1, 18)}
    assert sorted(map(len, student.batches)) == [1, 16]
