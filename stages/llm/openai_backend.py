"""A server that speaks OpenAI's API in place of an engine in this process: `vllm serve` elsewhere, or a hosted model.

Where probabilities are `exact`, the server is vLLM's and is asked what `vllm_backend.py` asks its engine: prompts as
they stand, by their tokens, and the log-probabilities of given tokens. Any other server is asked as a chat, with the
answers as a JSON schema, and tells the likeliest tokens (`top`), or nothing (`votes`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from stages.llm.answer_tree import answer_logprobs, branching_nodes
from stages.llm.backend import Choice, Completion, Refusal, Sampling
from stages.llm.config import SERVED, Server, Vllm
from stages.llm.connection import Connection, Refused
from stages.llm.spending import Spent
from stages.llm.top_logprobs import distribution, places, voted
from stages.running.config import checked, read
from stages.running.errors import BackendError, ModelError

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer", Choice, Completion)

# What a chat is until it is asked: a cached run needs no server to know its prompts. No text has these separators.
USER, ASSISTANT, THINKING = "\x1euser\x1f", "\x1eassistant\x1f", "\x1ethinking\x1f"
# The user's message of which a server is asked what its template puts around it.
MESSAGE = "MESSAGE"
# Control tokens of the common families, whose tokenizers nobody has here: <|im_end|>, </s>, <start_of_turn>, <think>,
# <<SYS>>, [INST], [/TOOL_RESULTS], [gMASK], and DeepSeek's with a full-width bar.
BAR, SPACE = "|\uff5c", "\u2581"
CONTROL = re.compile(rf"<(?=[/{BAR}]{{0,2}}[\w{BAR}{SPACE}:-]{{1,40}}[/{BAR}]?>)|\[(?=/?(?:[A-Z_]{{2,30}}|gMASK)\])")
THOUGHTS = re.compile(r"^\s*<think>.*?</think>\s*", re.DOTALL)
# How many of the likeliest tokens OpenAI's API tells at most, and the tokens of JSON around an answer.
TOP, JSON_TOKENS = 20, 32


class OpenAIBackend:
    """The server that `folder` names; nothing is asked of it before the first question.

    Raises:
        ModelError: `folder` names no server.
    """

    def __init__(self, folder: Path, engine: Vllm) -> None:
        file = folder / SERVED
        if not file.is_file():
            raise ModelError(f"{folder} names no server: {SERVED} is missing; compose with teacher=openai, and run "
                             "`dvc repro models`")  # fmt: skip
        self.server = checked(Server, read(file), file)
        self.name = self.server.model
        self.identity = "openai " + json.dumps(what_changes_answers(self.server), sort_keys=True, ensure_ascii=False)
        self._connection = Connection(self.server)
        # By whether the model thinks: what its template puts before and after a user's message.
        self._around: dict[bool, tuple[str, str]] = {}
        self._answers: dict[str, list[int]] = {}
        self._exact = self.server.probabilities == "exact"

    def render(self, user: str, *, thinking: bool = False) -> str:
        """Mark a user message as one; the server's template goes around it when it is asked."""
        return f"{USER}{user}{THINKING if thinking else ASSISTANT}"

    def neutralise(self, text: str) -> str:
        """Break what is, or looks like, a control token of the common families, and drop the marks of `render`."""
        return CONTROL.sub(lambda found: f"{found[0]} ", text.replace("\x1e", "").replace("\x1f", ""))

    def filler(self, prompts: Sequence[str]) -> str:
        """Nothing."""
        return ""

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], reasoning: Sampling | None = None
    ) -> Iterator[tuple[int, Choice | Refusal]]:
        """Yield (index, choice) as each arrives; see `Backend.choose`."""
        how = {"exact": self._choose_exactly, "top": self._choose_by_top, "votes": self._choose_by_votes}
        choose = how[self.server.probabilities]
        if not self._exact:
            logger.warning(
                "%s: the probabilities of answers are no exact ones, server.probabilities=%s (docs/server.md)",
                self.name,
                self.server.probabilities,
            )

        async def ask(index: int) -> Choice:
            prompt, line, spent = prompts[index], "", Spent()
            if reasoning:
                written = await self._complete(prompt, reasoning)
                line, spent = self.neutralise(written.text.rstrip()), written.spent or spent
                prompt = f"{prompt}{line}\n"
            choice = await choose(prompt, answers)
            return replace(choice, reasoning=line.strip(), spent=spent + (choice.spent or Spent()))

        return self._converse(len(prompts), ask)

    def complete(
        self, prompts: Sequence[str], samplings: Sequence[Sampling]
    ) -> Iterator[tuple[int, Completion | Refusal]]:
        """Yield (index, completion) as each arrives."""

        async def ask(index: int) -> Completion:
            return await self._complete(prompts[index], samplings[index])

        return self._converse(len(prompts), ask)

    def _converse(
        self, count: int, ask: Callable[[int], Coroutine[Any, Any, Answer]]
    ) -> Iterator[tuple[int, Answer | Refusal]]:
        """Ask for the answers 0…count; yield (index, answer) at once, so that it can be stored.

        As many are open as requests may be. Where one ends the run, those that arrived with it are yielded first.
        """

        async def answered(index: int) -> Answer | Refusal:
            try:
                return await ask(index)
            except Refused as refused:
                return refused.refusal
            except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
                return Refusal(f"the server's answer is no answer: {type(error).__name__}: {error}", again=True)

        waiting = iter(range(count))
        open_ones: dict[asyncio.Task[Answer | Refusal], int] = {}
        connection = AsyncExitStack()

        async def close() -> None:
            for task in open_ones:
                task.cancel()
            await asyncio.gather(*open_ones, return_exceptions=True)
            await connection.aclose()

        with closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(connection.enter_async_context(self._connection.opened()))
            try:
                while True:
                    for index in islice(waiting, self.server.concurrency - len(open_ones)):
                        open_ones[loop.create_task(answered(index))] = index
                    if not open_ones:
                        return
                    done, _ = loop.run_until_complete(asyncio.wait(open_ones, return_when=asyncio.FIRST_COMPLETED))
                    for task in sorted(done, key=lambda task: task.exception() is not None):
                        yield open_ones.pop(task), task.result()
            finally:
                loop.run_until_complete(close())

    async def _choose_exactly(self, prompt: str, answers: Sequence[str]) -> Choice:
        """As `VllmBackend.choose`: a token for each branching node of the answers' tree, with what is likely there."""
        tokens = [await self._answer_tokens(answer + "\n") for answer in answers]
        read_tokens = await self._encode(await self._raw(prompt))
        found, spent = {}, Spent()
        for node, children in branching_nodes(tokens).items():
            body = {
                "prompt": [*read_tokens, *node],
                "max_tokens": 1,
                "temperature": 0.0,
                "allowed_token_ids": children,
                "logprobs": 1,
                "logprob_token_ids": children,
                "return_tokens_as_token_ids": True,
            }
            given, used = await self._connection.ask("/completions", body)
            told = given["logprobs"]["top_logprobs"][0]
            found[node] = {child: float(told[f"token_id:{child}"]) for child in children}
            spent += used
        *logprobs, mass = answer_logprobs(tokens, found)
        return Choice("", logprobs, mass, spent)

    async def _choose_by_top(self, prompt: str, answers: Sequence[str]) -> Choice:
        """One answer, and the likeliest tokens at each place of it."""
        told, written, spent = await self._chat_choice(prompt, answers, logprobs=True, top_logprobs=TOP, temperature=0)
        tokens = places(_told_logprobs(told, self.server)["content"])
        return Choice("", *distribution(tokens, answers, written), spent)

    async def _choose_by_votes(self, prompt: str, answers: Sequence[str]) -> Choice:
        """So many answers drawn; `mass` is 1, as nothing else could be."""
        count = self.server.votes
        drawn = [
            await self._chat_choice(prompt, answers, temperature=0.0 if count == 1 else 1.0, seed=seed)
            for seed in range(count)
        ]
        spent = sum((used for _, _, used in drawn), Spent())
        return Choice("", voted([written for _, written, _ in drawn], len(answers)), 1.0, spent)

    async def _chat_choice(
        self, prompt: str, answers: Sequence[str], **settings: Any
    ) -> tuple[dict[str, Any], int, Spent]:
        """The model's choice as the server gave it, the index of the answer in it, and what it took."""
        schema = {
            "type": "object",
            "properties": {"answer": {"type": "string", "enum": list(answers)}},
            "required": ["answer"],
            "additionalProperties": False,
        }
        room = JSON_TOKENS + max(len(answer.encode()) for answer in answers)
        body = {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
            **settings,
        }
        given, spent = await self._chat(prompt, room, body)
        written = _content(given)
        try:
            answer = json.loads(written)["answer"]
        except (ValueError, KeyError, TypeError):
            # A server without schemas lets the model write as the prompt says.
            answer = written.partition("\n")[0].strip()
        if answer not in answers:
            raise Refused(f"the model answered {written!r:.80}, which is none of the answers", again=True)
        return given, answers.index(answer), spent

    async def _chat(self, prompt: str, room: int, body: dict[str, Any]) -> tuple[dict[str, Any], Spent]:
        user, start, _ = _parts(prompt)
        said = f"{user}\n\n{start}" if start else user
        limit = {self.server.token_limit: room + self.server.thinking_tokens}
        return await self._connection.ask(
            "/chat/completions", {"messages": [{"role": "user", "content": said}], **limit, **body}
        )

    async def _complete(self, prompt: str, sampling: Sampling) -> Completion:
        body: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        if self._exact or USER not in prompt:
            # vLLM would take what is not said from the model's own generation_config.json.
            neutral = {"repetition_penalty": sampling.repetition_penalty, "top_k": 0, "min_p": 0.0}
            body |= {"prompt": await self._raw(prompt), "max_tokens": sampling.max_tokens, "stop": list(sampling.stop)}
            body |= {"logprobs": 1} if self.server.has_logprobs else {}
            body |= {**neutral, "add_special_tokens": False} if self._exact else {}
            given, spent = await self._connection.ask("/completions", body)
            if not self.server.has_logprobs:
                return Completion(given["text"], None, spent)
            return Completion(given["text"], _mean(_told_logprobs(given, self.server)["token_logprobs"]), spent)
        _, start, _ = _parts(prompt)
        body |= {"logprobs": True} if self.server.has_logprobs else {}
        # A model that repeats the start of its answer would be stopped in the middle of it.
        body |= {"stop": list(sampling.stop)} if sampling.stop and not start else {}
        given, spent = await self._chat(prompt, sampling.max_tokens, body)
        text = _until(_going_on(_content(given), start), sampling.stop)
        if not self.server.has_logprobs:
            return Completion(text, None, spent)
        content = _told_logprobs(given, self.server)["content"]
        return Completion(text, _mean([token["logprob"] for token in content]), spent)

    async def _raw(self, prompt: str) -> str:
        """The text that the model reads: in the server's template, where it is a chat."""
        if USER not in prompt:
            return prompt
        user, start, thinking = _parts(prompt)
        if thinking not in self._around:
            self._around[thinking] = await self._template(thinking)
        before, after = self._around[thinking]
        return f"{before}{user}{after}{start}"

    async def _template(self, thinking: bool) -> tuple[str, str]:
        """What the model's chat template puts before and after a user's message.

        Raises:
            BackendError: the server's template cannot be told so.
        """
        messages = [{"role": "user", "content": MESSAGE}]
        asked = {"messages": messages, "chat_template_kwargs": {"enable_thinking": thinking}}
        tokens = (await self._connection.post(f"{self._connection.root}/tokenize", asked))["tokens"]
        text = (await self._connection.post(f"{self._connection.root}/detokenize", {"tokens": tokens}))["prompt"]
        before, found, after = text.partition(MESSAGE)
        if not found or MESSAGE in after or await self._encode(text) != tokens:
            raise BackendError(
                f"{self.name}: its chat template cannot be told from its tokens; set server.probabilities=top"
            )
        return before, after

    async def _answer_tokens(self, answer: str) -> list[int]:
        """The tokens of what every prompt may be answered with: asked for once."""
        if answer not in self._answers:
            self._answers[answer] = await self._encode(answer)
        return self._answers[answer]

    async def _encode(self, text: str) -> list[int]:
        asked = {"prompt": text, "add_special_tokens": False}
        tokens: list[int] = (await self._connection.post(f"{self._connection.root}/tokenize", asked))["tokens"]
        return tokens


def what_changes_answers(server: Server) -> dict[str, object]:
    """The settings by which the same prompt is answered otherwise; where the server stands is none of them."""
    names = ["model", "revision", "probabilities", "thinking_tokens", "extra"]
    names += ["votes"] if server.probabilities == "votes" else []
    return {name: getattr(server, name) for name in names}


def _parts(prompt: str) -> tuple[str, str, bool]:
    """A rendered prompt as the user's message, the start of the answer, and whether the model thinks before it."""
    mark = THINKING if THINKING in prompt else ASSISTANT
    user, _, start = prompt.removeprefix(USER).partition(mark)
    return user, start, mark == THINKING


def _content(given: dict[str, Any]) -> str:
    """The text of a chat's answer, without thoughts.

    Raises:
        Refused: the model declined, or thought to the end of its room.
    """
    message = given["message"]
    if message.get("refusal"):
        raise Refused(f"the model declines: {message['refusal']!r:.80}")
    text = THOUGHTS.sub("", message.get("content") or "")
    if given.get("finish_reason") == "length" and (not text or "<think>" in text):
        raise Refused("the model thought and did not come to an answer: raise server.thinking_tokens")
    return text


def _told_logprobs(given: dict[str, Any], server: Server) -> dict[str, Any]:
    """The log-probabilities of an answer.

    Raises:
        BackendError: the server tells none.
    """
    told = given.get("logprobs")
    if not told or not (told.get("content") or told.get("token_logprobs")):
        raise BackendError(
            f"{server.model} at {server.url} tells no log-probabilities: set server.probabilities=votes, and "
            "min_mean_logprob=null for the steps of generate"
        )
    return dict(told)


def _going_on(text: str, start: str) -> str:
    """What of `text` comes after `start`, whole or its last line, if the model repeats it."""
    for repeated in (start.strip(), start.strip().rpartition("\n")[2]):
        if repeated and text.lstrip().startswith(repeated):
            return text.lstrip().removeprefix(repeated)
    return text


def _until(text: str, stops: Sequence[str]) -> str:
    """The text before the first of `stops`; a break of the line before all of it ends nothing."""
    text = text.lstrip("\n")
    return text[: min((found for stop in stops if (found := text.find(stop)) >= 0), default=len(text))]


def _mean(logprobs: Sequence[float | None]) -> float:
    known = [logprob for logprob in logprobs if logprob is not None]
    return sum(known) / max(1, len(known))
