"""A backend that has its questions answered by replicas of itself, over shards in a shared folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from stages.cluster.config import Execute
from stages.cluster.ray_pool import Pool
from stages.cluster.replica import Replica
from stages.cluster.shards import Shard, Shards, divided, read_answers
from stages.common.cache import cache_folder
from stages.llm import checks
from stages.llm.backend import Backend, Choice, Completion, Refusal, Sampling
from stages.llm.checks import Answer, Read
from stages.llm.config import Vllm
from stages.llm.questions import Question, question_key, to_choose, to_complete
from stages.running.work import counted

logger = logging.getLogger(__name__)

# Shards for each replica, so that none waits long for the last one; fewer questions are not worth an engine.
SHARDS_EACH, SMALLEST = 4, 64


class SpreadBackend:
    """Asks as `backend`, called `name`, would, and yields its answers as the replicas get them.

    Prompts that do not fit are refused shard by shard. A replica's process that dies is started again.

    Raises:
        ConfigError: as `cache_folder`.
        BackendError, by `choose` and `complete`: there is no Ray, or no room in it, or a replica fails for good.
    """

    def __init__(self, backend: Backend, name: str, folder: Path, engine: Vllm, execute: Execute) -> None:
        self.name, self.identity = backend.name, backend.identity
        self.render, self.neutralise = backend.render, backend.neutralise
        self._execute = execute
        shared = Path(execute.folder).absolute() if execute.folder else cache_folder() / "shards"
        self._shards = Shards(shared, self.identity)
        self._replica = Replica(name, folder.absolute(), engine, shared, self.identity)

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], reasoning: Sampling | None = None
    ) -> Iterator[tuple[int, Choice | Refusal]]:
        """Yield (index, choice); see `Backend.choose`."""
        question = to_choose(answers, reasoning)
        return self._spread(prompts, [question] * len(prompts), checks.read_choice(len(answers)))

    def complete(
        self, prompts: Sequence[str], samplings: Sequence[Sampling]
    ) -> Iterator[tuple[int, Completion | Refusal]]:
        """Yield (index, completion)."""
        return self._spread(prompts, [to_complete(drawn) for drawn in samplings], checks.read_completion)

    def _spread(
        self, prompts: Sequence[str], questions: Sequence[Question], read: Read[Answer]
    ) -> Iterator[tuple[int, Answer | Refusal]]:
        waiting: dict[str, list[int]] = {}
        for index, asked in enumerate(zip(prompts, questions, strict=True)):
            waiting.setdefault(question_key(self.identity, *asked), []).append(index)

        def arrived(found: Iterable[tuple[str, str]]) -> Iterator[tuple[int, Answer]]:
            for key, stored in found:
                if key in waiting:
                    # A journal of another run may be damaged.
                    with suppress(ValueError):
                        answer = read(stored)
                        yield from ((index, answer) for index in waiting.pop(key))

        with self._shards.alone():
            paths = []
            for bits, keys in divided(list(waiting), self._shard_size(len(waiting))).items():
                yield from arrived(self._shards.known(bits, keys, read).items())
                if left := {key: waiting[key][0] for key in keys if key in waiting}:
                    chosen = [prompts[index] for index in left.values()]
                    shard = Shard(bits, list(left), chosen, [questions[index] for index in left.values()])
                    paths.append(self._shards.ask(shard))
            if not paths:
                return
            journals: dict[Path, int] = {}
            with closing(Pool(self._execute, self._replica).answer(paths)) as rows:
                for row in rows:
                    yield from arrived(self._shards.journalled(journals))
                    if row:
                        yield from arrived(read_answers(Path(row["answers"])))
                        for key, reason in json.loads(row["refusals"]).items():
                            for index in waiting.pop(key, ()):
                                yield index, Refusal(reason)
                        for name, amount in json.loads(row["work"]).items():
                            counted[name] += amount

    def _shard_size(self, count: int) -> int:
        """About how many of `count` questions go into a shard."""
        each = count // (SHARDS_EACH * self._execute.replicas)
        return min(self._execute.shard, max(SMALLEST, each))
