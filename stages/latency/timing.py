"""Time a classifier: one text at a time, and in batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.common.arrays import FloatArray
from stages.latency.config import Benchmark
from stages.running.progress import Progress

Classify = Callable[[Sequence[str]], Any]
# Texts of a batch's beginning, before which nothing of the kind was computed.
WARMED = 8


@dataclass(frozen=True)
class Single:
    """Milliseconds of calls with one text each."""

    calls: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    max_ms: float


@dataclass(frozen=True)
class Batched:
    """Throughput in batches."""

    texts: int
    batch_size: int
    texts_per_second: float


@dataclass(frozen=True)
class Latency:
    """Both, and whether the slowest call kept the limit."""

    single: Single
    batched: Batched
    limit_seconds: float
    within_limit: bool


def sample_texts(texts: Sequence[str], size: int, seed: int) -> list[str]:
    """`size` texts drawn without repeats; if there are fewer, all of them over and over."""
    order = np.random.default_rng(seed).permutation(len(texts))
    return [texts[index] for index in np.resize(order, size).tolist()]


def time_singles(classify: Classify, texts: Sequence[str], warmup: int) -> FloatArray:
    """Milliseconds of each call with one text, shape (len(texts),), after `warmup` untimed calls."""
    for text in np.resize(np.asarray(texts, dtype=object), warmup):
        classify([text])
    return 1000 * _timed(classify, [[text] for text in texts], "time one at a time")


def time_batches(classify: Classify, texts: Sequence[str], batch_size: int) -> FloatArray:
    """Seconds of each batch, texts sorted by length; the longest of them run once untimed."""
    ordered = sorted(texts, key=len, reverse=True)
    batches = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    classify(batches[0][:WARMED])
    return _timed(classify, batches, "time batches")


def measure(classify: Classify, texts: Sequence[str], settings: Benchmark, seed: int) -> Latency:
    """Time `settings.singles` calls with one text each, and batches of as many as `settings` says."""
    singles = time_singles(classify, sample_texts(texts, settings.singles, seed), settings.warmup)
    many = sample_texts(texts, settings.batch_size * settings.batches, seed)
    batches = time_batches(classify, many, settings.batch_size)
    p50, p95 = (round(float(value), 2) for value in np.quantile(singles, [0.5, 0.95]))
    longest = float(singles.max())
    return Latency(
        single=Single(len(singles), round(float(singles.mean()), 2), p50, p95, round(longest, 2)),
        batched=Batched(len(many), settings.batch_size, round(len(many) / float(batches.sum()), 1)),
        limit_seconds=settings.limit_seconds,
        within_limit=longest <= 1000 * settings.limit_seconds,
    )


def _timed(classify: Classify, calls: Sequence[Sequence[str]], what: str) -> FloatArray:
    """Seconds of each call, shape (calls,)."""
    seconds = np.empty(len(calls))
    with Progress(what, len(calls), "calls") as progress:
        for number, texts in enumerate(calls):
            seconds[number] = _seconds(classify, texts)
            progress.update()
    return seconds


def _seconds(classify: Classify, texts: Sequence[str]) -> float:
    start = time.perf_counter()
    classify(texts)
    return time.perf_counter() - start
