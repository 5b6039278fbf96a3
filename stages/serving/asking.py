"""From a request's texts to the student's answers: cleaned as for training, computed with others', given up with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from stages.ingestion.cleaning import clean
from stages.serving.batching import Batcher, OverloadedError, StoppedError
from stages.serving.settings import Limits

if TYPE_CHECKING:
    from stages.common.arrays import FloatArray

# A distribution (labels,) and what reaches the head (features,); None for a text of which cleaning leaves nothing.
Answer: TypeAlias = "tuple[FloatArray, FloatArray] | None"


class Asking:
    """What the routers share: the batcher, and the limits of what it is asked."""

    def __init__(self, batcher: Batcher, limits: Limits) -> None:
        self.labels = batcher.labels
        self.limits = limits
        self._batcher = batcher

    async def answers(self, request: Request, texts: Sequence[str]) -> list[Answer]:
        """The student's answers to `texts`, in their order; a text that occurs twice is asked once.

        Raises:
            HTTPException: 413 for too many or too long texts, 503 if too many wait, or the service ends.
        """
        self._require_room(texts)
        # In a thread: to look for telephone numbers in the longest texts takes a second.
        cleaned = await run_in_threadpool(lambda: [clean(text) for text in texts])
        distinct = [text for text in dict.fromkeys(cleaned) if text]
        if not distinct:
            return [None] * len(texts)
        given = await self._batcher_answers(request, distinct)
        found = dict(zip(distinct, given, strict=True))
        return [found.get(text) for text in cleaned]

    def _require_room(self, texts: Sequence[str]) -> None:
        if len(texts) > self.limits.texts:
            raise HTTPException(413, f"{len(texts):,} texts; send at most {self.limits.texts:,} at a time")
        longest = max(range(len(texts)), key=lambda place: len(texts[place]))
        if len(texts[longest]) > self.limits.characters:
            where = f"texts[{longest}]" if len(texts) > 1 else "the text"
            raise HTTPException(
                413, f"{where} has {len(texts[longest]):,} characters; a review has at most {self.limits.characters:,}"
            )

    async def _batcher_answers(self, request: Request, texts: Sequence[str]) -> list[tuple[FloatArray, FloatArray]]:
        try:
            future = self._batcher.submit(texts)
        except OverloadedError as error:
            seconds = str(error.args[0])
            raise HTTPException(
                503, f"too many texts wait; ask again in {seconds} s", headers={"Retry-After": seconds}
            ) from None
        except StoppedError:
            raise HTTPException(503, "the service ends", headers={"Retry-After": "5"}) from None
        answer = asyncio.wrap_future(future)
        gone = asyncio.create_task(_gone(request))
        try:
            either: tuple[asyncio.Future[Any], ...] = (answer, gone)
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                # Read by nobody.
                raise HTTPException(499, "the client went away")
            given = answer.result()
            return [*zip(given.probabilities, given.embedding, strict=True)]
        finally:
            gone.cancel()
            # Of no effect on what is done; else what waits is taken out of the batches to come.
            answer.cancel()


async def _gone(request: Request) -> None:
    """Return when the client has gone, once its body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
