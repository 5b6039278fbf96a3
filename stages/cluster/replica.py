"""One of the models that answer shards: the same backend as in a stage's own process, with the same checks."""

from __future__ import annotations

import json
import logging
import platform
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stages.cluster.shards import Shard, Shards, read_shard
from stages.llm.backend import Backend, Refusal, open_backend
from stages.llm.cache import Asking, choosing, completing
from stages.llm.config import Vllm
from stages.llm.questions import sampling
from stages.running.errors import BackendError, RazmetkaError
from stages.running.work import counted

logger = logging.getLogger(__name__)

# What a stage records of its models' work, wherever they run.
WORK = ("fresh tokens", "written tokens", "GFLOP")
# Ray begins a shard again as often as its replica dies, each time with fewer questions left; so many deaths are enough.
DEATHS = 8


@dataclass(frozen=True)
class Replica:
    """The model in `folder` behind the backend called `name`, loaded at the first question.

    `identity` is that of the backend in the process that asks, and `shards` the folder of all shards.
    """

    name: str
    folder: Path
    engine: Vllm
    shards: Path
    identity: str

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Answer the shard in the one row of `batch`: the file of its answers, refusals, work; or the failure."""
        before = {name: counted[name] for name in WORK}
        answers, refusals, failure = Path(), dict[str, str](), ""
        try:
            answers, refusals = self._answer_file(Path(batch["shard"][0]))
        except RazmetkaError as error:
            failure = str(error)
        except Exception as error:
            # Into Ray's log of this node: a traceback does not pass through a row.
            logger.exception("a replica failed")
            failure = f"a replica on {platform.node()} failed: {type(error).__name__}: {error}"
        work = {name: counted[name] - before[name] for name in WORK}
        row = {"answers": str(answers), "refusals": json.dumps(refusals), "work": json.dumps(work), "failure": failure}
        return {name: [value] for name, value in row.items()}

    def _answer_file(self, path: Path) -> tuple[Path, dict[str, str]]:
        if (deaths := Shards(self.shards, self.identity).deaths(path)) >= DEATHS:
            raise BackendError(f"{deaths} replicas died of the questions in {path}; Ray's logs of their nodes say why")
        return self.answer(read_shard(path))

    def answer(self, shard: Shard) -> tuple[Path, dict[str, str]]:
        """Ask what nobody was answered yet; the file of all answers, and the reasons of refusals by key.

        Raises:
            BackendError: this node would answer otherwise than the one that asks, or the model fails on one prompt
                after another.
        """
        shards, asking = Shards(self.shards, self.identity), self._asking(shard)
        stored = shards.known(shard.bits, shard.keys, asking.read)
        missing = [index for index, key in enumerate(shard.keys) if key not in stored]
        refusals: dict[str, str] = {}
        with shards.journal(shard.bits) as keep:
            for index, answer, form in asking.answers(missing, len(shard.keys)):
                key = shard.keys[index]
                if isinstance(answer, Refusal):
                    refusals[key] = answer.reason
                else:
                    keep(key, form)
                    stored[key] = form
            return shards.finish(shard.bits, stored), refusals

    def _asking(self, shard: Shard) -> Asking[Any]:
        # The questions of a shard are of one kind, and choices among the same answers.
        first = shard.questions[0]
        if "completion" in first:
            samplings = [sampling(question["completion"]) for question in shard.questions]
            return completing(self._backend, shard.prompts, samplings)
        reasoning = sampling(first["reasoning"]) if "reasoning" in first else None
        return choosing(self._backend, shard.prompts, first["choose"], reasoning)

    @cached_property
    def _backend(self) -> Backend:
        backend = open_backend(self.name, self.folder, self.engine)
        if backend.identity != self.identity:
            raise BackendError(
                f"a replica would answer as {backend.identity!r}, this process as {self.identity!r}: both need the "
                "same weights, packages and kind of processor or card"
            )
        return backend
