"""The service under load on loopback, beside the student that it asks.

    python -m benchmarks.serving

After `make repro`. Clients send a review each and wait for its answer: 1, 8 and 64 of them at a time. Beside them the
student alone, in a process of its own, one review at a time and all in one call. All get the same reviews, and
take turns. A single answer that is not 200 ends the measurement.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import numpy as np
import psutil

from benchmarks.side_by_side import Contender, Round, Spread, conditions, heading, interleave, parser, publish, table
from stages.inference.load import load_classifier
from stages.ingestion.cleaning import clean
from stages.reading.table import read_whole
from stages.running.errors import DataError
from stages.running.io import DATA

OUTPUT = Path("benchmarks/serving.json")
CLIENTS = (1, 8, 64)
Ask = Callable[[Sequence[str]], Round]


class Bare:
    """The student without a service; what it is asked answers with the milliseconds that each review took."""

    def __init__(self, folder: Path) -> None:
        """Load it."""
        self.classifier = load_classifier(folder)

    def one_by_one(self, texts: Sequence[str]) -> list[float]:
        """Each review alone."""
        return [_milliseconds(partial(self.classifier.predict_proba, [text])) for text in texts]

    def at_a_time(self, texts: Sequence[str]) -> list[float]:
        """All reviews in one call: each takes as long as all."""
        took = _milliseconds(partial(self.classifier.predict_proba, texts))
        return [took] * len(texts)


@dataclass(frozen=True)
class Result:
    """Milliseconds until a review is answered, over all rounds, and reviews a second, of each round."""

    who: str
    p50_ms: float
    p95_ms: float
    reviews_per_second: Spread


@dataclass(frozen=True)
class Service:
    """A service that runs: its address, its process, and the seconds from the command to its first answer."""

    address: str
    process: psutil.Process
    start_seconds: float

    def resident_mib(self) -> float:
        """Memory that it holds now."""
        return float(self.process.memory_info().rss) / 2**20


def main() -> None:
    """Measure, print the table, write the record."""
    made = parser(__doc__, OUTPUT)
    made.add_argument("--model", type=Path, default=DATA / "student", help="student's folder (default %(default)s)")
    made.add_argument(
        "--input", type=Path, default=DATA / "raw/sample/reviews.csv", help="table of reviews (default %(default)s)"
    )
    made.add_argument("--reviews", type=int, default=64, help="reviews a round (default %(default)s)")
    arguments = made.parse_args()
    texts = [*dict.fromkeys(filter(None, map(clean, read_whole(arguments.input, "text")["text"])))][: arguments.reviews]
    if len(texts) < arguments.reviews:
        raise DataError(f"{arguments.input} has {len(texts)} different reviews; lower --reviews")
    surroundings = conditions("onnxruntime", "fastapi", "uvicorn")
    bare = Contender(partial(Bare, arguments.model))
    with running(arguments.model) as service:
        asks: dict[str, Ask] = {
            "the student, one at a time": partial(bare.ask, "one_by_one"),
            "the student, all at a time": partial(bare.ask, "at_a_time"),
            **{f"clients: {clients}": partial(load, service.address, clients) for clients in CLIENTS},
        }
        for ask in asks.values():
            ask(texts)
        before = service.resident_mib()
        rounds = interleave(asks, [texts] * arguments.rounds)
        memory = {"resident_mib_before": before, "resident_mib_after": service.resident_mib()}
    found = [result(name, taken) for name, taken in rounds.items()]
    setting = {
        "rounds": arguments.rounds,
        "reviews": len(texts),
        "requests": len(texts) * len(CLIENTS) * (arguments.rounds + 1),
        "start_seconds": service.start_seconds,
        **memory,
    }
    publish(arguments.output, surroundings, found, setting=setting)
    print(heading(surroundings))
    print(", ".join(f"{name}={value:.5g}" for name, value in setting.items()), "\n")
    header = ["", "p50, ms", "p95, ms", "reviews a second"]
    print(table(header, [[r.who, f"{r.p50_ms:.1f}", f"{r.p95_ms:.1f}", f"{r.reviews_per_second:.1f}"] for r in found]))


@contextmanager
def running(model: Path) -> Iterator[Service]:
    """`stages.serve` on a free port, until the block ends."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "stages.serve", "--port", "0", "--model", str(model)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r"(http://\S+) serves", line):
                    break
                print(line, end="", file=sys.stderr)
            else:
                raise DataError("the service did not start")
            httpx2.get(f"{found[1]}/health", timeout=60).raise_for_status()
            yield Service(found[1], psutil.Process(process.pid), time.perf_counter() - began)
        finally:
            process.terminate()


def load(address: str, clients: int, texts: Sequence[str]) -> Round:
    """Ask the service for all texts by so many clients at a time, each with one that it waits for.

    Raises:
        httpx2.HTTPStatusError: an answer is not 200.
    """
    began = time.perf_counter()
    milliseconds = asyncio.run(_load(address, clients, texts))
    return Round(time.perf_counter() - began, milliseconds)


async def _load(address: str, clients: int, texts: Sequence[str]) -> list[float]:
    left = iter(texts)
    took = []

    async def ask(client: httpx2.AsyncClient) -> None:
        for text in left:
            began = time.perf_counter()
            answer = await client.post("/predict", json={"text": text})
            took.append(1000 * (time.perf_counter() - began))
            answer.raise_for_status()

    async with httpx2.AsyncClient(base_url=address, timeout=600) as client:
        await asyncio.gather(*(ask(client) for _ in range(clients)))
    return took


def result(who: str, rounds: Sequence[Round]) -> Result:
    """The figures of some rounds."""
    milliseconds = [took for taken in rounds for took in taken.answer]
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return Result(who, float(p50), float(p95), Spread.of([len(taken.answer) / taken.seconds for taken in rounds]))


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
