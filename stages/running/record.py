"""What the stages of a run took and did: a line of JSON for each, where neither DVC nor Git sees it.

Seconds differ from run to run, so that no output may hold any.
"""

from __future__ import annotations

import json
import logging
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from stages.running.work import counted

logger = logging.getLogger(__name__)

RECORD = Path("data/run.jsonl")


@dataclass(frozen=True)
class Entry:
    """One run of a stage.

    `began` is in seconds since 1970, `peak_gb` the most memory that the process or one of its own had, in decimal
    gigabytes; `done` counts its work.
    """

    stage: str
    began: float
    seconds: float
    processor_seconds: float
    peak_gb: float
    succeeded: bool
    done: Mapping[str, float]

    def resources(self) -> str:
        """In words."""
        processor = duration(self.processor_seconds)
        return f"{duration(self.seconds)} ({processor} of processor time, {self.peak_gb:.1f} GB at most)"

    def work(self) -> str:
        """The counts in words."""
        return ", ".join(f"{number:,.0f} {what}" for what, number in self.done.items())


@contextmanager
def recorded(stage: str, path: Path = RECORD) -> Iterator[None]:
    """Log what the stage in this process took, imports and all, and append it to `path`, whether it fails or not."""
    succeeded = False
    try:
        yield
        succeeded = True
    finally:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        began = psutil.Process().create_time()
        entry = Entry(
            stage,
            began=round(began, 2),
            seconds=round(time.time() - began, 2),
            processor_seconds=round(sum(part.ru_utime + part.ru_stime for part in used), 2),
            # Linux counts it in kibibytes.
            peak_gb=round(max(part.ru_maxrss for part in used) * 1024 / 1e9, 2),
            succeeded=succeeded,
            done={what: round(number) for what, number in counted.items() if number >= 0.5},
        )
        logger.info("%s", "; ".join(filter(None, [f"{stage}: {entry.resources()}", entry.work()])))
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write at the end of the file: a killed process leaves its line whole or none.
        with path.open("ab", buffering=0) as file:
            file.write(json.dumps(asdict(entry)).encode() + b"\n")


def entries(since: float = 0.0, path: Path = RECORD) -> list[Entry]:
    """The last run of each stage that began at `since` (seconds since 1970) or later, in the order of their begin."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    last = {entry.stage: entry for entry in (Entry(**json.loads(line)) for line in lines) if entry.began >= since}
    return sorted(last.values(), key=lambda entry: entry.began)


def duration(seconds: float, *, rough: bool = False) -> str:
    """Seconds in words: 0.4 s, 31 s, 3 min 6 s, 1 h 5 min; the `rough` form has one unit."""
    if seconds < 10 and not rough:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{round(seconds / 60)} min" if rough else f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
