"""Read what a client sends, up to a limit and no further, and say in words what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from stages.serving.settings import Limits

Asked = TypeVar("Asked", bound=BaseModel)
# Faults that are told of; the others are likely the same.
TOLD = 3


async def parts(request: Request, limit: int, seconds: float) -> AsyncIterator[bytes]:
    """The parts of a body as they come.

    Raises:
        HTTPException: 413 for a body of more than `limit` bytes, announced or come, 408 for one that takes more than
            `seconds`, 400 for one that breaks off.
    """
    # The rest of the body is not waited for.
    close = {"Connection": "close"}
    too_much = HTTPException(413, f"the body has more than {limit:,} bytes; send less at a time", close)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_much
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_much
                yield part
    except TimeoutError:
        raise HTTPException(408, f"the body did not come within {seconds:g} seconds", close) from None
    except ClientDisconnect:
        raise HTTPException(400, "the body broke off") from None


async def asked(request: Request, kind: type[Asked], limits: Limits) -> Asked:
    """The JSON that the client sent, as a model.

    Raises:
        HTTPException: as `parts`; 415 for a body that is not said to be JSON, 422 for one that is no `kind`.
    """
    said = request.headers.get("content-type", "")
    if said.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, f"the body is {said or 'of no type'}; send JSON, with Content-Type: application/json")
    body = b"".join([part async for part in parts(request, limits.body, limits.seconds)])
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, explained(error.errors(include_url=False))) from None


def explained(errors: Any) -> str:
    """What pydantic found, in words, each with its place: `texts[3]: Input should be a valid string`."""
    found = []
    for error in errors[:TOLD]:
        place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in error["loc"]).removeprefix(".")
        said = error["msg"].removeprefix("Value error, ")
        found.append(f"{place}: {said}" if place else said)
    more = len(errors) - len(found)
    return "; ".join(found) + (f"; and {more} more" if more else "")
