"""`/neighbours`: the labelled examples that are nearest to a text."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from stages.serving.asking import Asking
from stages.serving.body import asked
from stages.serving.examples import Example, Examples
from stages.serving.prediction import category, json_body

MOST = 50


class Near(BaseModel):
    """A text, and how many examples are wanted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str
    k: int = Field(default=5, ge=1, le=MOST)


class Neighbours(BaseModel):
    """What the student says of the text, and the examples, the nearest first; none for a text without content."""

    category: str | None
    confidence: float | None
    neighbours: list[Example]


def neighbours_router(asking: Asking, examples: Examples | None) -> APIRouter:
    """The router; where there are no examples it says so."""
    router = APIRouter()

    async def found(request: Request, near: Near) -> Neighbours:
        if examples is None:
            raise HTTPException(404, "there are no labelled examples beside this student; `dvc repro index` makes them")
        (answer,) = await asking.answers(request, [near.text])
        said = category(answer, asking.labels)
        nearest = [] if answer is None else examples.nearest(answer[1], near.k)
        return Neighbours(category=said.category, confidence=said.confidence, neighbours=nearest)

    @router.get("/neighbours", summary="The labelled examples nearest to a text")
    async def get(request: Request, text: str, k: Annotated[int, Query(ge=1, le=MOST)] = 5) -> Neighbours:
        return await found(request, Near(text=text, k=k))

    @router.post(
        "/neighbours",
        summary="The same for a long text",
        openapi_extra={"requestBody": json_body(Near, {"text": "Сапоги натёрли пятку", "k": 3})},
    )
    async def post(request: Request) -> Neighbours:
        return await found(request, await asked(request, Near, asking.limits))

    return router
