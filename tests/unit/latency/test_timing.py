"""The timing harness counts what it says."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from stages.latency.conditions import conditions
from stages.latency.config import Benchmark
from stages.latency.timing import measure, sample_texts, time_batches, time_singles


def test_singles_are_timed_one_by_one_after_warm_up() -> None:
    calls: list[list[str]] = []

    def classify(texts: Sequence[str]) -> None:
        calls.append(list(texts))
        time.sleep(0.002)

    milliseconds = time_singles(classify, ["a", "b", "c"], warmup=4)
    assert calls == [["a"], ["b"], ["c"], ["a"], ["a"], ["b"], ["c"]]
    assert len(milliseconds) == 3
    assert (milliseconds >= 2).all()


def test_batches_go_from_long_to_short() -> None:
    calls: list[list[str]] = []
    seconds = time_batches(lambda texts: calls.append(list(texts)), ["a", "ccc", "bb"], batch_size=2)
    assert calls == [["ccc", "bb"], ["ccc", "bb"], ["a"]]
    assert len(seconds) == 2


def test_few_texts_are_taken_over_and_over() -> None:
    assert sorted(sample_texts(["a", "b"], 4, seed=0)) == ["a", "a", "b", "b"]
    assert sample_texts(list("abcdef"), 3, seed=1) == sample_texts(list("abcdef"), 3, seed=1)


@pytest.mark.parametrize(("limit", "within"), [(1.0, True), (0.001, False)])
def test_the_slowest_call_decides_about_the_limit(limit: float, within: bool) -> None:
    settings = Benchmark(singles=2, warmup=0, batch_size=2, batches=1, limit_seconds=limit)
    measured = measure(lambda texts: time.sleep(0.003), ["a", "b"], settings, seed=0)
    assert measured.within_limit is within
    assert measured.single.p50_ms <= measured.single.p95_ms <= measured.single.max_ms
    assert 0 < measured.batched.texts_per_second < 2 / 0.003


def test_hardware_names_the_processor() -> None:
    described = conditions(threads=3)
    assert described["cpu"]
    assert described["threads"] == 3
