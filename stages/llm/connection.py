"""Requests to a server that speaks OpenAI's API: how many at a time, how fast, again after which failures, and the key.

The key is read from the environment and goes into the header of a request alone. What a server says of itself is quoted
without it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    OpenAI,
    OpenAIError,
)

from stages.llm.backend import Refusal
from stages.llm.config import Server
from stages.llm.spending import Spent
from stages.running.errors import BackendError
from stages.running.work import counted

# Seconds in which a server takes a connection, and in which it has to say which models it has.
CONNECT = 10.0
# Statuses of a server that is not there, or takes no more for now: whatever was asked, another time it is answered.
UNAVAILABLE = (429, 502, 503, 504)
# Characters of a prompt that are a token at the most, until the server has counted: Russian text has 2 to 3.
CHARACTERS = 2.0
# Keys of a request that do not come from a review: a server that names one does not take our requests at all.
OURS = ("response_format", "logprobs", "top_logprobs", "temperature", "top_p", "seed", "stop", "chat_template_kwargs")
MOST_WORDS = 300


class Refused(Exception):
    """One prompt has no answer, for the reason in `refusal`."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.refusal = Refusal(reason, again)


class Pace:
    """At most so many units a minute, evenly; None for any number."""

    def __init__(self, per_minute: int | None) -> None:
        self._seconds = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def wait(self, units: float) -> None:
        """Wait for the turn of `units`."""
        turn = max(time.monotonic(), self._next)
        self._next = turn + units * self._seconds
        await asyncio.sleep(turn - time.monotonic())

    def correct(self, units: float) -> None:
        """Count `units` more, or fewer, than were waited for."""
        self._next += units * self._seconds


class Connection:
    """The server of one role. Its client lives within `opened`; the pace goes on from one to the next."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.root = server.url.rstrip("/").removesuffix("/v1")
        self._requests, self._tokens = Pace(server.requests_per_minute), Pace(server.tokens_per_minute)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Connect for the requests within; the client keeps its connections open for the next ones."""
        # It says so of each request that it makes again.
        logging.getLogger("openai").setLevel(logging.WARNING)
        self._slots = asyncio.Semaphore(self.server.concurrency)
        timeout = httpx2.Timeout(self.server.timeout, connect=CONNECT)
        async with AsyncOpenAI(
            base_url=self.server.url, api_key=_key(self.server), timeout=timeout, max_retries=self.server.retries
        ) as self._client:
            yield

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request, which the client makes again as the server's Retry-After, or its back-off, says.

        Raises:
            Refused: this request has no answer.
            BackendError: nor has any other.
        """
        async with self._slots:
            try:
                answer = await self._client.post(
                    path, body={"model": self.server.model, **body}, cast_to=httpx2.Response
                )
                found = answer.json()
            except OpenAIError as error:
                raise failure(error, self.server) from None
            except ValueError:
                raise Refused("the server's answer is no JSON", again=True) from None
        if not isinstance(found, dict):
            raise Refused("the server's answer is no JSON mapping", again=True)
        return found

    async def ask(self, path: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], Spent]:
        """The one choice of the model's answer, and what the server counted for it, at the pace that it allows.

        Raises:
            Refused, BackendError: as `post`.
        """
        expected = len(str(body.get("prompt") or body.get("messages"))) / CHARACTERS
        await self._requests.wait(1)
        await self._tokens.wait(expected)
        answer = await self.post(path, {**body, **self.server.extra})
        usage = answer.get("usage") or {}
        details = usage.get("prompt_tokens_details") or {}
        spent = Spent(
            requests=1,
            prompt=usage.get("prompt_tokens") or 0,
            cached=details.get("cached_tokens") or 0,
            written=usage.get("completion_tokens") or 0,
        )
        self._tokens.correct(spent.prompt + spent.written - expected)
        counted["requests"] += 1
        counted["fresh tokens"] += spent.prompt - spent.cached
        counted["written tokens"] += spent.written
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices:
            raise Refused("the server's answer has no choices", again=True)
        if choices[0].get("finish_reason") == "content_filter":
            raise Refused("the server's content filter let no answer through")
        return choices[0], spent


def failure(error: OpenAIError, server: Server) -> Refused | BackendError:
    """What a failed request means: for its prompt alone, or for the run."""
    where = f"{server.model} at {server.url}"
    said = _said(error, server)
    later = "What was answered is stored; the same command goes on from there"
    if isinstance(error, APITimeoutError):
        return Refused(f"no answer within server.timeout={server.timeout:g} seconds", again=True)
    if isinstance(error, APIConnectionError):
        return BackendError(f"{where} does not answer: is the server running? {later}")
    if not isinstance(error, APIStatusError):
        return Refused(said, again=True)
    status = error.status_code
    if status in (401, 403):
        return BackendError(
            f"{where} refuses the key ({status}: {said}): put one into the environment variable {server.key_variable}"
        )
    if status == 404:
        return BackendError(
            f"{where} is not there ({said}): `make doctor` lists the models that the server has. A server that is not "
            "vLLM's needs server.probabilities=top or votes, and one without /v1/completions prompt.chat=true and "
            "generate.mode=chat"
        )
    if status in UNAVAILABLE:
        return BackendError(f"{where} takes no more requests for now ({status}: {said}). {later}")
    if _is_ours(error):
        return BackendError(f"{where} does not take our requests ({said}): docs/server.md says what needs which server")
    return Refused(f"the server refuses it ({status}: {said})", again=status >= 500 or status in (408, 409))


def offered(server: Server) -> list[str]:
    """The models that a server says it has.

    Raises:
        BackendError: it does not answer, or not to this key.
    """
    try:
        with OpenAI(base_url=server.url, api_key=_key(server), timeout=CONNECT, max_retries=0) as client:
            return [model.id for model in client.models.list()]
    except OpenAIError as error:
        given = failure(error, server)
        raise given if isinstance(given, BackendError) else BackendError(str(given)) from None


def _key(server: Server) -> str:
    """The key; a server on one's own machine mostly wants none, and the client always has one.

    Raises:
        BackendError: no header can hold it.
    """
    key = os.environ.get(server.key_variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise BackendError(f"the environment variable {server.key_variable} holds no key: letters that no key has")
    return key or "none"


def _is_ours(error: APIError) -> bool:
    param = str(error.param or "").partition(".")[0].partition("[")[0]
    return param in OURS or str(error.code).startswith("unsupported_")


def _said(error: OpenAIError, server: Server) -> str:
    """What the server said, on one line, without the key."""
    body = error.body if isinstance(error, APIError) else None
    told = body.get("message") if isinstance(body, dict) else body
    words = " ".join(str(told or error).split())[:MOST_WORDS]
    key = _key(server)
    return words if key == "none" else words.replace(key, "***")
