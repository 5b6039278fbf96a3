"""The contract of a language-model backend, and the lazy map from its name to its class."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from stages.common.digests import kept_digest
from stages.common.driver import installed_driver, why_torch_sees_none
from stages.common.fingerprint import fingerprint
from stages.common.manifest import check_weights
from stages.llm.config import Vllm
from stages.llm.spending import Spent
from stages.running.errors import BackendError, ConfigError
from stages.running.io import read_json

# What stage `models` writes beside the weights.
NOTE = "provenance.json"


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
    of them. `spent`: what it took of a server, None where none was asked.
    """

    reasoning: str
    logprobs: list[float]
    mass: float
    spent: Spent | None = None


@dataclass(frozen=True)
class Completion:
    """A text that was written, and the mean log-probability (nats) of its tokens, the stop among them.

    None where the backend has no log-probabilities. `spent` as of a `Choice`.
    """

    text: str
    mean_logprob: float | None
    spent: Spent | None = None


@dataclass(frozen=True)
class Refusal:
    """Why one prompt has no answer, in words. `again`: asking once more may help."""

    reason: str
    again: bool = False


class Backend(Protocol):
    """A language model that can choose among answers and complete texts.

    `name` is what people call it. `identity` names weights, libraries and settings that change answers; it is part of
    every cache key. Answers are yielded as they arrive, in any order, with the index of their prompt. A prompt that
    cannot be answered gets a `Refusal`; an engine refuses all that do not fit before the first question is asked. An
    exception may cost any of the prompts its answer; a `BackendError` that is not retryable ends the run.
    """

    name: str
    identity: str

    def render(self, user: str, *, thinking: bool = False) -> str:
        """Wrap a user message in the model's chat template, ready for the assistant's answer."""
        ...

    def neutralise(self, text: str) -> str:
        """Return untrusted text without the model's control tokens."""
        ...

    def filler(self, prompts: Sequence[str]) -> str:
        """What to put before `prompts`, and any that begin as all of these do, to have them read faster."""
        ...

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], reasoning: Sampling | None = None
    ) -> Iterator[tuple[int, Choice | Refusal]]:
        """Yield (index, choice among `answers`); with `reasoning` the model first ends the prompt's last line."""
        ...

    def complete(
        self, prompts: Sequence[str], samplings: Sequence[Sampling]
    ) -> Iterator[tuple[int, Completion | Refusal]]:
        """Yield (index, completion)."""
        ...


BACKENDS = {
    "vllm": "stages.llm.vllm_backend:VllmBackend",
    "nli": "stages.llm.nli_backend:NliBackend",
    "openai": "stages.llm.openai_backend:OpenAIBackend",
    "scripted": "stages.llm.scripted_backend:ScriptedBackend",
}


def open_backend(name: str, folder: Path, engine: Vllm) -> Backend:
    """Make the backend called `name` for the model in `folder`; its libraries are imported only now.

    Raises:
        ConfigError: no backend has that name.
        ModelError: as `model_identity`.
    """
    if name not in BACKENDS:
        raise ConfigError(f"{name!r} is not a backend; choose one of {', '.join(BACKENDS)}")
    module, _, cls = BACKENDS[name].partition(":")
    backend: Backend = getattr(importlib.import_module(module), cls)(folder, engine)
    return backend


def require_card(engine: Vllm) -> None:
    """Stop before an engine that is meant for graphics cards starts where torch sees none.

    Raises:
        BackendError: it is so; with the reason, and what to do.
    """
    import torch

    if engine.device == "cpu" or torch.cuda.is_available():
        return
    driver = installed_driver()
    reason = why_torch_sees_none(driver) if driver else "this machine has no NVIDIA driver"
    raise BackendError(f"vllm.device={engine.device}: {reason}. `make doctor` says what this machine can run")


def model_name(folder: Path) -> str:
    """What the note beside the weights in `folder` calls them, or the folder's name."""
    note = folder / NOTE
    return str(read_json(note).get("name", folder.name)) if note.is_file() else folder.name


def model_identity(folder: Path, kind: str, libraries: Sequence[str], **settings: object) -> str:
    """Name of what answers: all bytes in `folder`, the versions of `libraries`, and `settings` that change sums.

    The note of where the weights come from is left out: it may be older than they are.

    Raises:
        ModelError: a file in `folder` is not what was written there.
    """
    check_weights(folder)
    weights = fingerprint(folder, without=[NOTE], digest_of=kept_digest)
    versions = (f"{library}={version(library)}" for library in libraries)
    given = (f"{name}={value}" for name, value in settings.items())
    return " ".join([kind, weights, *versions, *given])
