"""The load that the service is measured by: every text is asked, as many at a time as there are clients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from benchmarks.serving import load, result
from benchmarks.side_by_side import Round
from stages.serving.app import service
from stages.serving.settings import Limits, Settings
from tests.unit.serving.conftest import Scripted, served, until


def test_clients_ask_every_text_at_the_same_time() -> None:
    texts = [f"отзыв {number}" for number in range(40)]
    student = Scripted()
    student.gate.clear()
    with served(service(Settings(None), student)) as client, ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load, str(client.base_url), 8, texts)
        # Some are in the batch that the gate holds, the others wait.
        until(lambda: bool(student.batches))
        waiting = f"razmetka_waiting_texts {8 - len(student.batches[0])}.0"
        until(lambda: waiting in client.get("/metrics").text)
        student.gate.set()
        taken = loading.result(20)
    assert sorted(text for batch in student.batches for text in batch) == sorted(texts)
    assert len(taken.answer) == 40
    assert 0 < max(taken.answer) <= 1000 * taken.seconds


def test_an_answer_that_is_none_ends_the_measurement() -> None:
    with (
        served(service(Settings(None, limits=Limits(characters=3)), Scripted())) as client,
        pytest.raises(httpx2.HTTPStatusError, match="413"),
    ):
        load(str(client.base_url), 2, ["да", "нет, спасибо"])


def test_figures_are_of_all_rounds() -> None:
    found = result("who", [Round(2.0, [10.0] * 9 + [110.0]), Round(1.0, [10.0] * 10)])
    assert (found.p50_ms, found.p95_ms) == (10.0, pytest.approx(15.0))
    assert (found.reviews_per_second.low, found.reviews_per_second.high) == (5.0, 10.0)
