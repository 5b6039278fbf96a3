"""What the side-by-side measurements share: contenders in processes of their own, interleaved rounds, the record."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.util import Finalize
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch

from stages.hardware.machine import look
from stages.running.io import write_json
from stages.running.progress import Progress

Job = TypeVar("Job")
# A product of this size is bound by arithmetic: 48 MiB of float32 matrices, 17 GFLOP.
GEMM_SIZE, GEMM_TRIES = 2048, 5
GEMM_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Round:
    """What a contender answered, and in how many seconds."""

    seconds: float
    answer: Any


class Contender:
    """An object in a process of its own, made once and asked on command.

    So rounds of several contenders can take turns on the whole machine without sharing memory, threads or settings.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        """Start the process and make the object there; `make` must be picklable."""
        self._process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self.loading_seconds: float = self._process.submit(_make, make).result()

    def ask(self, method: str, *arguments: Any) -> Round:
        """Call a method of the object; what it raises is raised here."""
        return self._process.submit(_ask, method, *arguments).result()


# The object of this process, where it is a contender's.
_made: list[Any] = []


def _make(make: Callable[[], Any]) -> float:
    # Libraries print; standard output belongs to the table.
    os.dup2(2, 1)
    # A process that ends waits for those that it started, unless they are ended before: vLLM's engine, told to end
    # later than that, would be waited for without end.
    Finalize(None, _end_children, exitpriority=0)
    start = time.perf_counter()
    _made.append(make())
    return time.perf_counter() - start


def _end_children() -> None:
    for child in multiprocessing.active_children():
        child.kill()


def _ask(method: str, *arguments: Any) -> Round:
    start = time.perf_counter()
    answer = getattr(_made[0], method)(*arguments)
    return Round(time.perf_counter() - start, answer)


def interleave(asks: Mapping[str, Callable[[Job], Round]], jobs: Sequence[Job]) -> dict[str, list[Round]]:
    """Each contender's rounds, one for each job; all do a job before any does the next.

    Whoever is first at one job is last at the next, so that nobody always comes after the same one.
    """
    rounds: dict[str, list[Round]] = {name: [] for name in asks}
    names = list(asks)
    with Progress("measure", len(jobs) * len(names), "rounds") as progress:
        for job in jobs:
            for name in names:
                rounds[name].append(asks[name](job))
                progress.update(note=name)
            names = [*names[1:], names[0]]
    return rounds


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))

    def __format__(self, form: str) -> str:
        """`median [low, high]`, each number in the given form."""
        return f"{self.median:{form}} [{self.low:{form}}, {self.high:{form}}]"


def gemm_gflops(dtype: torch.dtype) -> float:
    """The best GFLOP/s of square matrix products on this processor: the peak that shares are of."""
    left, right = (torch.randn(GEMM_SIZE, GEMM_SIZE).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(GEMM_TRIES):
        start = time.perf_counter()
        torch.matmul(left, right)
        seconds.append(time.perf_counter() - start)
    return 2 * GEMM_SIZE**3 / min(seconds) / 1e9


def conditions(*packages: str) -> dict[str, Any]:
    """Processor, memory, how busy the machine is already, versions of `packages`, and the peaks of this moment."""
    machine = look()
    return {
        "cpu": machine.cpu,
        "cpu_flags": list(machine.cpu_flags),
        "cores": machine.cores,
        "threads": torch.get_num_threads(),
        "ram_gib": round(machine.ram_gib, 1),
        "load_before": os.getloadavg()[0],
        "versions": {package: _version(package) for package in ("torch", "transformers", *packages)},
        "gemm_gflops": {name: round(gemm_gflops(dtype), 1) for name, dtype in GEMM_TYPES.items()},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def shares(gflops: float, peaks: Mapping[str, float]) -> dict[str, float]:
    """GFLOP/s as a share of each peak."""
    return {name: gflops / peak for name, peak in peaks.items()}


def parser(description: str | None, output: Path) -> argparse.ArgumentParser:
    """The arguments of every side-by-side measurement, whose progress shows from here on."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=5, help="interleaved rounds of each contender (default 5)")
    made.add_argument("--output", type=Path, default=output, help=f"JSON file (default {output})")
    return made


def publish(output: Path, surroundings: Mapping[str, Any], results: Sequence[Any], **more: Any) -> None:
    """Write the record; `results` are dataclasses, a row each."""
    write_json(output, {"conditions": surroundings, **more, "results": [asdict(result) for result in results]})


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def heading(surroundings: Mapping[str, Any]) -> str:
    """The conditions in two lines, to stand above a table."""
    peaks = ", ".join(f"{name} {value:.0f}" for name, value in surroundings["gemm_gflops"].items())
    versions = ", ".join(f"{name} {number}" for name, number in surroundings["versions"].items() if number)
    return (
        f"{surroundings['cpu']} ({', '.join(surroundings['cpu_flags'])}), {surroundings['cores']} cores, "
        f"{surroundings['ram_gib']} GiB; matrix products in GFLOP/s: {peaks}; "
        f"load before {surroundings['load_before']:.1f}"
        f"\n{versions}\n"
    )
