"""Answers are stored the moment they arrive, and a stored answer is never asked for again.

One SQLite file serves all runs, of which several may go on at once: each question is asked by one of them. The key
covers whatever changes an answer: the model's identity, the rendered prompt, the kind of question with its settings.
An answer is checked before it is stored, and when it is read.

What is deterministic: with the same cache a run gets the same answers byte for byte, whatever machine it is on and
however often it was interrupted. Without one, the same machine and the same settings ask the same questions in the
same order, with the same seeds, and get the same bytes as long as the engine puts the same prompts into a batch.
Other companions of a prompt, as after an interruption, or another kind of processor round sums in another order: that
moves the last digits of probabilities, and a label only where two categories are that close.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Generic

from stages.common.cache import cache_folder
from stages.common.database import KEYS_AT_A_TIME, Database
from stages.llm import checks
from stages.llm.backend import Backend, Choice, Completion, Refusal, Sampling
from stages.llm.checks import Answer, Read
from stages.llm.claims import TABLE, Claims
from stages.llm.questions import question_key, to_choose, to_complete
from stages.llm.spending import Spent
from stages.running.errors import BackendError, RazmetkaError
from stages.running.progress import Progress

logger = logging.getLogger(__name__)

# How often a prompt is asked whose answer is unsound, or on which the backend fails.
ATTEMPTS = 3
# So many failures one after another are no prompts' but the backend's: at least the number, and that share of all
# prompts, since of those that a run before this one left without an answer each may be hopeless.
FAILURES_IN_A_ROW, FAILED_SHARE = 20, 0.05
# Seconds between two looks at what another run answers meanwhile.
WAIT = 0.5
DAY = 86400.0

# Asks the backend for the prompts with these indices; yields places among them, with answers.
Ask = Callable[[Sequence[int]], Iterator[tuple[int, Any]]]


class ResponseCache:
    """A persistent map from question keys to answers in JSON; safe against kill -9 and concurrent runs.

    `uses` says which model gave an answer, and when (seconds since 1970, to the day) it was last of use.

    Raises:
        DataError: as `Database`.
    """

    def __init__(self, path: Path | None = None) -> None:
        tables = {
            "responses": "key TEXT PRIMARY KEY, answer TEXT NOT NULL",
            "uses": "key TEXT PRIMARY KEY, model TEXT NOT NULL, used REAL NOT NULL",
        }
        self.database = Database(path or cache_folder() / "responses.sqlite", tables | TABLE)
        self.claims = Claims(self.database)

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the stored answers by their keys, some hundred keys a query; those that nobody asked are left out."""
        found: dict[str, str] = {}
        waiting = iter(keys)
        while part := list(islice(waiting, KEYS_AT_A_TIME)):
            places = ", ".join("?" * len(part))
            found |= dict(self.database.execute(f"SELECT key, answer FROM responses WHERE key IN ({places})", part))
        return found

    def put(self, key: str, answer: str, model: str) -> None:
        """Store an answer in place of any other, and give up the claim; handed to the system when this returns."""
        with self.database.transaction():
            self.database.execute("INSERT OR REPLACE INTO responses VALUES (?, ?)", [key, answer])
            self.database.execute("INSERT OR REPLACE INTO uses VALUES (?, ?, ?)", [key, model, time.time()])
            self.database.execute("DELETE FROM claims WHERE key = ?", [key])

    def discard(self, keys: Iterable[str]) -> None:
        """Remove the answers to `keys`."""
        with self.database.transaction():
            self.database.executemany("DELETE FROM responses WHERE key = ?", [(key,) for key in keys])

    def touch(self, keys: Iterable[str], model: str) -> None:
        """Note that the answers to `keys` are of use, where that was not noted today."""
        now = time.time()
        statement = (
            "INSERT INTO uses VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET used = excluded.used "
            f"WHERE used < excluded.used - {DAY}"
        )
        with self.database.transaction():
            self.database.executemany(statement, [(key, model, now) for key in keys])

    def __len__(self) -> int:
        return int(self.database.execute("SELECT COUNT(*) FROM responses")[0][0])


class CachedModel:
    """A backend whose answers come from the cache where they are there; the rest is asked for, and progress shown.

    Where the backend fails on a prompt, or its answer is unsound three times over, that prompt has a `Refusal` and no
    answer; refusals are not stored. `spent` is what a server counted for the answers given so far, stored ones too.

    Raises:
        BackendError: by `choose` and `complete`, if the backend fails on one prompt after another.
    """

    def __init__(self, backend: Backend, cache: ResponseCache | None = None) -> None:
        self.backend = backend
        self.cache = ResponseCache() if cache is None else cache
        self.asked = 0
        self.spent = Spent()

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], description: str, reasoning: Sampling | None = None
    ) -> list[Choice | Refusal]:
        """A choice among `answers` for each prompt in order; see `Backend.choose`."""
        question = to_choose(answers, reasoning)
        keys = [question_key(self.backend.identity, prompt, question) for prompt in prompts]
        return self._answers(keys, choosing(self.backend, prompts, answers, reasoning), description)

    def complete(
        self, prompts: Sequence[str], samplings: Sequence[Sampling], description: str
    ) -> list[Completion | Refusal]:
        """A completion for each prompt in order."""
        keys = [
            question_key(self.backend.identity, prompt, to_complete(drawn))
            for prompt, drawn in zip(prompts, samplings, strict=True)
        ]
        return self._answers(keys, completing(self.backend, prompts, samplings), description)

    def _answers(self, keys: list[str], asking: Asking[Answer], description: str) -> list[Answer | Refusal]:
        # A prompt that occurs twice is one question.
        first: dict[str, int] = {}
        for index, key in enumerate(keys):
            first.setdefault(key, index)
        answers: dict[str, Answer | Refusal] = {}
        answers |= self._known(first, asking.read)
        model = f"{self.backend.name}: {self.backend.identity}"
        self.cache.touch(answers, model)
        with Progress(description, len(first), "answers", known=len(answers)) as progress:
            try:
                while missing := [key for key in first if key not in answers]:
                    mine = self.cache.claims.take(missing)
                    # Whoever answers a question gives up its claim in the same transaction: it is free and answered.
                    by_others = self._known(missing, asking.read)
                    answers |= by_others
                    progress.known += len(by_others)
                    chosen = [first[key] for key in mine if key not in by_others]
                    self.asked += len(chosen)
                    for index, answer, stored in asking.answers(chosen, len(first)):
                        answers[keys[index]] = answer
                        if stored:
                            self.cache.put(keys[index], stored, model)
                        self.cache.claims.renew()
                        progress.update()
                    if not chosen and not by_others:
                        progress.update(0, f"another run asks {len(missing)} of them")
                        time.sleep(WAIT)
            finally:
                self.cache.claims.release()
        for answer in answers.values():
            if not isinstance(answer, Refusal) and answer.spent:
                self.spent += answer.spent
        return [answers[key] for key in keys]

    def _known(self, keys: Iterable[str], read: Read[Answer]) -> dict[str, Answer]:
        """The sound ones of the stored answers; the others are thrown out."""
        known, unsound = {}, {}
        for key, stored in self.cache.get_many(keys).items():
            try:
                known[key] = read(stored)
            except ValueError as error:
                unsound[key] = str(error)
        if unsound:
            fault = next(iter(unsound.values()))
            logger.warning("%d stored answers are unsound (%s) and are asked for again", len(unsound), fault)
            self.cache.discard(unsound)
        return known


class Asking(Generic[Answer]):
    """How questions of one kind are asked, and what is an answer to them."""

    def __init__(self, ask: Ask, read: Callable[[str], Answer]) -> None:
        self.ask = ask
        self.read: Read[Answer] = read

    def answers(self, chosen: Sequence[int], of: int) -> Iterator[tuple[int, Answer | Refusal, str]]:
        """Yield (index, answer, its form to store, "" for a refusal) for each of `chosen`, out `of` so many questions.

        Raises:
            BackendError: too many of them failed one after another.
        """
        most = max(FAILURES_IN_A_ROW, round(FAILED_SHARE * of))
        for attempt in range(ATTEMPTS):
            failed: dict[int, Refusal] = {}
            in_a_row = 0
            for index, given in self._divided(chosen):
                answer, stored = self._checked(given)
                if isinstance(answer, Refusal) and answer.again:
                    failed[index] = answer
                    in_a_row += 1
                    # Those that are asked again have failed before, each by itself.
                    if attempt == 0 and in_a_row == most:
                        raise BackendError(f"the model failed {in_a_row} times in a row, at last so: {answer.reason}")
                else:
                    in_a_row = 0 if stored else in_a_row
                    yield index, answer, stored
            chosen = list(failed)
        for index, refusal in failed.items():
            yield index, refusal, ""

    def _checked(self, given: Any) -> tuple[Answer | Refusal, str]:
        if isinstance(given, Refusal):
            return given, ""
        try:
            stored = checks.stored_form(given)
            return self.read(stored), stored
        except ValueError as error:
            return Refusal(f"the model's answer is unsound: {error}", again=True), ""

    def _divided(self, chosen: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """What the backend gives; where it raises, the rest is asked in halves, down to the prompt it fails on."""
        left = dict.fromkeys(chosen)
        try:
            for place, given in self.ask(chosen) if chosen else ():
                if chosen[place] in left:
                    del left[chosen[place]]
                    yield chosen[place], given
        except Exception as error:
            if isinstance(error, RazmetkaError) and not (isinstance(error, BackendError) and error.retryable):
                raise
            rest = list(left)
            if len(rest) == 1:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                yield rest[0], Refusal(f"the model failed: {reason}", again=True)
            elif rest:
                yield from self._divided(rest[: len(rest) // 2])
                yield from self._divided(rest[len(rest) // 2 :])
        else:
            for index in left:
                yield index, Refusal("the model gave no answer", again=True)


def choosing(
    backend: Backend, prompts: Sequence[str], answers: Sequence[str], reasoning: Sampling | None = None
) -> Asking[Choice]:
    """Asking `backend` for choices among `answers`; see `Backend.choose`."""

    def ask(chosen: Sequence[int]) -> Iterator[tuple[int, Any]]:
        return backend.choose([prompts[index] for index in chosen], answers, reasoning)

    return Asking(ask, checks.read_choice(len(answers)))


def completing(backend: Backend, prompts: Sequence[str], samplings: Sequence[Sampling]) -> Asking[Completion]:
    """Asking `backend` for completions; see `Backend.complete`."""

    def ask(chosen: Sequence[int]) -> Iterator[tuple[int, Any]]:
        return backend.complete([prompts[index] for index in chosen], [samplings[index] for index in chosen])

    return Asking(ask, checks.read_completion)
