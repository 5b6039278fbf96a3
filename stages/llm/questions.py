"""Questions as JSON: what a cache knows them by, and all that another process needs for asking them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypeAlias

from stages.llm.backend import Sampling

# What is asked of a prompt: {"choose": answers, "reasoning"?: sampling} or {"completion": sampling}.
Question: TypeAlias = dict[str, Any]


def to_choose(answers: Sequence[str], reasoning: Sampling | None = None) -> Question:
    """A choice among `answers`; see `Backend.choose`."""
    question: Question = {"choose": list(answers)}
    return question | {"reasoning": reasoning.key()} if reasoning else question


def to_complete(sampling: Sampling) -> Question:
    """A completion; see `Backend.complete`."""
    return {"completion": sampling.key()}


def question_key(identity: str, prompt: str, question: Question) -> str:
    """The key (64 hexadecimal digits) of a question to the model `identity`: it covers whatever changes the answer."""
    parts = json.dumps([identity, prompt, question], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()


def sampling(settings: dict[str, Any]) -> Sampling:
    """The `Sampling` whose key is `settings`."""
    return Sampling(**settings | {"stop": tuple(settings["stop"])})
