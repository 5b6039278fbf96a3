"""Stage `label` with a teacher that fails on one review in twenty: `python -m tests.reliability.failing_teacher`.

Which one, and how, follows from the number in the review (`number_of`), so that a test knows what has to become of it.
`memory.txt` gets the resident memory (MiB) after every tenth of `RAZMETKA_REVIEWS` answers.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import stages.label
import stages.running.progress
from stages.llm.backend import BACKENDS, Choice, Completion, Sampling
from stages.llm.config import Vllm
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.errors import BackendError, run_stage

# One review in a hundred each, by the last two digits of its number.
RETRYABLE, PERMANENT, NAN, SUM, MALFORMED = 3, 23, 43, 63, 83
# One in a thousand takes long.
SLOW = 500


class FailingTeacher(ScriptedBackend):
    """Fails for a while (an error that may pass, a sum that is off) or for ever (any other error, nan, no words)."""

    def __init__(self, folder: Path, engine: Vllm) -> None:
        super().__init__(folder, engine)
        self._times: Counter[tuple[str, ...]] = Counter()
        self._answers = 0

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], reasoning: Sampling | None = None
    ) -> Iterator[tuple[int, Choice]]:
        """As the scripted one, where it does not fail."""
        for index, choice in super().choose(prompts, answers, reasoning):
            way = self._way(prompts[index])
            first = self._is_first("choose", prompts[index])
            if way == RETRYABLE and first:
                raise BackendError("the connection was lost", retryable=True)
            if way == PERMANENT:
                raise RuntimeError("out of memory")
            if way == NAN:
                choice = replace(choice, logprobs=[math.nan] * len(answers))
            if way == SUM and first:
                choice = replace(choice, logprobs=[-1.0] * len(answers))
            self._count()
            yield index, choice

    def complete(self, prompts: Sequence[str], samplings: Sequence[Sampling]) -> Iterator[tuple[int, Completion]]:
        """As the scripted one, where it does not fail."""
        for index, written in super().complete(prompts, samplings):
            way = self._way(prompts[index])
            if way == RETRYABLE and self._is_first("complete", prompts[index]):
                raise BackendError("the connection was lost", retryable=True)
            self._count()
            yield index, replace(written, text="…\x00 {") if way == MALFORMED else written

    def _way(self, prompt: str) -> int:
        number = number_of(prompt)
        if number % 1000 == SLOW:
            time.sleep(0.2)
        return number % 100

    def _is_first(self, *question: str) -> bool:
        self._times[question] += 1
        return self._times[question] == 1

    def _count(self) -> None:
        self._answers += 1
        if self._answers % (int(os.environ["RAZMETKA_REVIEWS"]) // 10) == 0:
            with open("memory.txt", "a", encoding="ascii") as file:
                file.write(f"{resident_mib()}\n")


def number_of(text: str) -> int:
    """The number of the last review in `text`; 1, on which nothing fails, where there is none."""
    found = re.findall(r"номер (\d+)", text)
    return int(found[-1]) if found else 1


def resident_mib() -> float:
    """Memory of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return int(status["VmRSS"].split()[0]) / 2**10


if __name__ == "__main__":
    # A line every second, as every half minute of hours.
    stages.running.progress.EVERY = 1.0
    BACKENDS["scripted"] = "tests.reliability.failing_teacher:FailingTeacher"
    run_stage(stages.label.main)
