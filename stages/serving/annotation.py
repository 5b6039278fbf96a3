"""The page to annotate on: one review at a time, each press saved before the page says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from stages.running.errors import DataError
from stages.serving.body import asked
from stages.serving.pages import page
from stages.serving.settings import Limits

if TYPE_CHECKING:
    from stages.annotating.page import Page

# Numbers of presses, as far as a browser counts exactly.
Number = Annotated[int, Field(ge=0, le=2**53)]
Identity = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Pressed(BaseModel):
    """A press as the page sends it; `seen` is the number of the last one in the log that it knows."""

    model_config = ConfigDict(extra="forbid", strict=True)

    press: Identity
    batch: Annotated[str, Field(max_length=64)]
    review: Annotated[str, Field(max_length=64)]
    kind: Literal["answer", "skip", "comment", "undo"]
    value: Annotated[str, Field(max_length=2000)]
    who: Annotated[str, Field(max_length=80)]
    browser: Identity
    tab: Identity
    seen: Number


def annotation_router(answers: Path, categories: Sequence[str], limits: Limits) -> APIRouter:
    """The page and what it asks, over the batch beside the file `answers`."""
    router = APIRouter()

    @cache
    def annotated() -> Page:
        # Tables take a second to import, which a service does without that nobody annotates on.
        from stages.annotating.page import Page

        return Page(answers, categories)

    @contextmanager
    def opened() -> Iterator[Page]:
        try:
            yield annotated()
        except DataError as error:
            raise HTTPException(503, str(error)) from error

    @router.get("/annotate", include_in_schema=False)
    def annotate() -> HTMLResponse:
        return page("annotate", here="/annotate")

    @router.get("/annotate/batch", include_in_schema=False)
    def batch() -> dict[str, Any]:
        with opened() as over:
            return over.batch()

    @router.get("/annotate/log", include_in_schema=False)
    def changes(batch: str, seen: Number = 0) -> Any:
        with opened() as over:
            return over.log(batch, seen)

    @router.post("/annotate/log", include_in_schema=False)
    async def press(request: Request) -> Any:
        return await run_in_threadpool(save, await asked(request, Pressed, limits))

    def save(pressed: Pressed) -> Any:
        from stages.annotating.page_store import Press

        if pressed.kind == "answer" and pressed.value not in categories:
            raise HTTPException(422, f"{pressed.value!r} is none of the categories: {', '.join(categories)}")
        with opened() as over:
            told = over.save(Press(**pressed.model_dump(exclude={"seen"})), pressed.seen)
        if told is None:
            raise HTTPException(409, f"no batch that was shown has the review {pressed.review!r}; load the page anew")
        return told

    @router.post("/annotate/answers", include_in_schema=False)
    def write() -> Any:
        with opened() as over:
            return over.write()

    @router.get("/annotate/batch.csv", include_in_schema=False)
    def download() -> Response:
        named = {"content-disposition": "attachment; filename=batch.csv"}
        with opened() as over:
            return Response(over.filled(), media_type="text/csv; charset=utf-8", headers=named)

    return router
