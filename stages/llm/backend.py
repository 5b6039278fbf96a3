"""The contract of a language-model backend, and the lazy map from its name to its class."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from stages.common.errors import ConfigError
from stages.llm.config import Vllm


@dataclass(frozen=True)
class Sampling:
    """How one completion is drawn. `stop` strings end the text and are not part of it."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def key(self) -> dict[str, Any]:
        """The settings as JSON-ready values, for the response cache."""
        return asdict(self) | {"stop": list(self.stop)}


@dataclass(frozen=True)
class Choice:
    """One answer to a choice: the line written before it, and what the model thinks of the answers offered.

    `logprobs` (answers,) sum to 1 after exp; `mass` (0…1) is the probability that the unconstrained model gave to any
    of them.
    """

    reasoning: str
    logprobs: list[float]
    mass: float


@dataclass(frozen=True)
class Completion:
    """A text that was written, and the mean log-probability (nats) of its tokens, the stop among them."""

    text: str
    mean_logprob: float


class Backend(Protocol):
    """A language model that can choose among answers and complete texts.

    `identity` names weights, precision and engine settings that change answers; it is part of every cache key.
    Answers are yielded as they arrive, in any order, with the index of their prompt.
    """

    identity: str

    def render(self, user: str, *, thinking: bool = False) -> str:
        """Wrap a user message in the model's chat template, ready for the assistant's answer."""
        ...

    def neutralise(self, text: str) -> str:
        """Return untrusted text without the model's control tokens."""
        ...

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], reasoning: Sampling | None = None
    ) -> Iterator[tuple[int, Choice]]:
        """Yield (index, choice among `answers`); with `reasoning` the model first ends the prompt's last line."""
        ...

    def complete(self, prompts: Sequence[str], samplings: Sequence[Sampling]) -> Iterator[tuple[int, Completion]]:
        """Yield (index, completion)."""
        ...


BACKENDS = {
    "vllm": "stages.llm.vllm_backend:VllmBackend",
    "nli": "stages.llm.nli_backend:NliBackend",
    "scripted": "stages.llm.scripted_backend:ScriptedBackend",
}


def open_backend(name: str, folder: Path, engine: Vllm) -> Backend:
    """Make the backend called `name` for the model in `folder`; its libraries are imported only now.

    Raises:
        ConfigError: no backend has that name.
    """
    if name not in BACKENDS:
        raise ConfigError(f"{name!r} is not a backend; choose one of {', '.join(BACKENDS)}")
    module, _, cls = BACKENDS[name].partition(":")
    backend: Backend = getattr(importlib.import_module(module), cls)(folder, engine)
    return backend
