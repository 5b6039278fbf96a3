"""A backend for tests: answers follow from the text alone, at once, without weights."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stages.common.fingerprint import code_fingerprint
from stages.llm.backend import Choice, Completion, Sampling
from stages.llm.config import Vllm


class ScriptedBackend:
    """Chooses the answer whose first letters occur in the prompt's last line; completes with its own seed.

    `RAZMETKA_SCRIPTED_DELAY` (seconds an answer) makes it slow enough to be killed in the middle.
    `RAZMETKA_SCRIPTED_LOG` names a file that each question is appended to (process, hash) before it is answered.
    """

    def __init__(self, folder: Path, engine: Vllm) -> None:
        self.name = "scripted"
        self.identity = f"scripted {code_fingerprint(__file__)}"
        self._delay = float(os.environ.get("RAZMETKA_SCRIPTED_DELAY", "0"))
        self._log = os.environ.get("RAZMETKA_SCRIPTED_LOG")

    def render(self, user: str, *, thinking: bool = False) -> str:
        """Return the message as it is."""
        return user

    def neutralise(self, text: str) -> str:
        """Return the text as it is."""
        return text

    def filler(self, prompts: Sequence[str]) -> str:
        """Nothing."""
        return ""

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], reasoning: Sampling | None = None
    ) -> Iterator[tuple[int, Choice]]:
        """Give most probability to the last answer whose stem the review's line has, else to the last."""
        stems = [answer.split(":")[-1].strip()[:4].lower() for answer in answers]
        for index, prompt in enumerate(prompts):
            self._asked(prompt, list(answers), reasoning and reasoning.key())
            review = prompt.strip().splitlines()[-2 if reasoning else -1 :][0].lower()
            chosen = max((number for number, stem in enumerate(stems) if stem in review), default=len(answers) - 1)
            rest = 0.1 / (len(answers) - 1)
            logprobs = [math.log(0.9 if number == chosen else rest) for number in range(len(answers))]
            yield index, Choice(stems[chosen] if reasoning else "", logprobs, mass=1.0)

    def complete(self, prompts: Sequence[str], samplings: Sequence[Sampling]) -> Iterator[tuple[int, Completion]]:
        """Complete with words that depend on the prompt and the sampling seed."""
        for index, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True)):
            self._asked(prompt, sampling.key())
            digest = hashlib.sha256(f"{prompt}{sampling.seed}".encode()).hexdigest()
            yield index, Completion(f"отзыв про товар {digest[:8]} понравился", mean_logprob=-0.1)

    def _asked(self, *question: Any) -> None:
        if self._log:
            line = f"{os.getpid()} {hashlib.sha256(json.dumps(question).encode()).hexdigest()}\n"
            # One write: a killed process leaves its line whole or none.
            with open(self._log, "ab", buffering=0) as log:
                log.write(line.encode())
        time.sleep(self._delay)
