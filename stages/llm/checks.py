"""What an answer has to be before it is stored, and when it comes out of the store again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeAlias, TypeVar

import pydantic

from stages.llm.backend import Choice, Completion

Answer = TypeVar("Answer", Choice, Completion)
# Makes an answer of stored text, or says in a `ValueError` why it is no sound one.
Read: TypeAlias = Callable[[str], Answer]
# How far from 1 probabilities may sum to: rounding of half precision is less.
TOLERANCE = 1e-3

_CHOICE, _COMPLETION = pydantic.TypeAdapter(Choice), pydantic.TypeAdapter(Completion)


def stored_form(answer: Any) -> str:
    """An answer of a backend as JSON.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.dumps(asdict(answer))
    except TypeError as error:
        raise ValueError(f"no answer but {answer!r:.60}") from error


def read_choice(count: int) -> Read[Choice]:
    """A `Read` of choices among `count` answers: as many finite log-probabilities, whose probabilities sum to 1."""

    def read(stored: str) -> Choice:
        choice = _parsed(_CHOICE, stored)
        if len(choice.logprobs) != count:
            raise ValueError(f"{len(choice.logprobs)} probabilities for {count} answers")
        if not all(map(math.isfinite, [*choice.logprobs, choice.mass])):
            raise ValueError("a probability is no finite number")
        total = sum(math.exp(min(logprob, 1.0)) for logprob in choice.logprobs)
        if abs(total - 1) > TOLERANCE:
            raise ValueError(f"the probabilities do not sum to 1 (off by {abs(total - 1):.3g})")
        if not -TOLERANCE < choice.mass < 1 + TOLERANCE:
            raise ValueError(f"a share of {choice.mass:.3g} for all answers together is no probability")
        return choice

    return read


def read_completion(stored: str) -> Completion:
    """A `Read` of completions: a text, and a finite mean log-probability or none."""
    completion = _parsed(_COMPLETION, stored)
    if completion.mean_logprob is not None and not math.isfinite(completion.mean_logprob):
        raise ValueError("the log-probability of a text is no finite number")
    return completion


def fault(stored: str) -> str:
    """What is wrong with a stored answer of either kind, as far as it tells by itself; "" for nothing."""
    try:
        content = json.loads(stored)
        choice = isinstance(content, dict) and isinstance(content.get("logprobs"), list)
        (read_choice(len(content["logprobs"])) if choice else read_completion)(stored)
    except ValueError as error:
        return str(error)
    return ""


def _parsed(form: pydantic.TypeAdapter[Answer], stored: str) -> Answer:
    try:
        return form.validate_json(stored, strict=True)
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = "".join(f" in {part}" for part in fault["loc"])
        raise ValueError(f"malformed{place}: {fault['msg']}") from error
