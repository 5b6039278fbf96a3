"""Answers are stored the moment they arrive, and a stored answer is never asked for again.

One SQLite file (write-ahead log) serves all runs. The key covers whatever changes an answer: the model's identity,
the rendered prompt, the kind of question with its settings. Only successes are stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from stages.common.cache import cache_folder
from stages.common.database import KEYS_AT_A_TIME, open_database
from stages.common.progress import Progress
from stages.llm.backend import Backend, Choice, Completion, Sampling


class ResponseCache:
    """A persistent map from question keys to JSON answers; safe against kill -9 and concurrent runs."""

    def __init__(self, path: Path | None = None) -> None:
        path = path or cache_folder() / "responses.sqlite"
        self._database = open_database(path, "responses (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the stored answers by their keys, some hundred keys a query; those that nobody asked are left out."""
        found: dict[str, Any] = {}
        waiting = iter(keys)
        while part := list(islice(waiting, KEYS_AT_A_TIME)):
            places = ", ".join("?" * len(part))
            rows = self._database.execute(f"SELECT key, answer FROM responses WHERE key IN ({places})", part)
            found |= {key: json.loads(answer) for key, answer in rows}
        return found

    def put(self, key: str, answer: Any) -> None:
        """Store an answer; handed to the operating system when this returns."""
        self._database.execute(
            "INSERT OR IGNORE INTO responses VALUES (?, ?)", (key, json.dumps(answer, ensure_ascii=False))
        )

    def __len__(self) -> int:
        count: int = self._database.execute("SELECT COUNT(*) FROM responses").fetchone()[0]
        return count


class CachedModel:
    """A backend whose answers come from the cache where they are there; the rest is asked for, and progress shown."""

    def __init__(self, backend: Backend, cache: ResponseCache | None = None) -> None:
        self.backend = backend
        self.cache = ResponseCache() if cache is None else cache
        self.asked = 0

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], description: str, reasoning: Sampling | None = None
    ) -> list[Choice]:
        """A choice among `answers` for each prompt in order; see `Backend.choose`."""
        question: dict[str, Any] = {"choose": list(answers)}
        if reasoning:
            question["reasoning"] = reasoning.key()
        keys = [self._key(prompt, question) for prompt in prompts]

        def ask(missing: list[int]) -> Iterator[tuple[int, Any]]:
            for index, choice in self.backend.choose([prompts[i] for i in missing], answers, reasoning):
                yield index, asdict(choice)

        return [Choice(**answer) for answer in self._ask(keys, ask, description)]

    def complete(self, prompts: Sequence[str], samplings: Sequence[Sampling], description: str) -> list[Completion]:
        """A completion for each prompt in order."""
        keys = [self._key(prompt, {"completion": s.key()}) for prompt, s in zip(prompts, samplings, strict=True)]

        def ask(missing: list[int]) -> Iterator[tuple[int, Any]]:
            for index, written in self.backend.complete([prompts[i] for i in missing], [samplings[i] for i in missing]):
                yield index, asdict(written)

        return [Completion(**answer) for answer in self._ask(keys, ask, description)]

    def _key(self, prompt: str, question: dict[str, Any]) -> str:
        parts = json.dumps([self.backend.identity, prompt, question], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    def _ask(
        self, keys: list[str], ask: Callable[[list[int]], Iterator[tuple[int, Any]]], description: str
    ) -> list[Any]:
        # A prompt that occurs twice is one question.
        first: dict[str, int] = {}
        for index, key in enumerate(keys):
            first.setdefault(key, index)
        answers = self.cache.get_many(first)
        missing = [index for key, index in first.items() if key not in answers]
        self.asked += len(missing)
        with Progress(description, len(first), "answers", known=len(first) - len(missing)) as progress:
            for position, answer in ask(missing) if missing else ():
                key = keys[missing[position]]
                self.cache.put(key, answer)
                answers[key] = answer
                progress.update()
        return [answers[key] for key in keys]
