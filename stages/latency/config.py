"""Sections `benchmark`: how latency is measured; `front`: what the student is held against."""

from __future__ import annotations

from stages.running.config import require, section


@section
class Benchmark:
    """Latency: `singles` timed calls of one review each after `warmup`; throughput over `batch_size`."""

    singles: int
    warmup: int
    batch_size: int
    batches: int
    limit_seconds: float

    def __post_init__(self) -> None:
        smallest = min(self.singles, self.batch_size, self.batches)
        require(smallest >= 1, "benchmark.singles, .batch_size and .batches must be at least 1")


@section
class Front:
    """`measured`: what `python -m benchmarks.front` wrote. DVC wants a file, so there is one without results."""

    measured: str
