"""The page to classify on, and whether the service is ready."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel
from starlette.responses import HTMLResponse

from stages.serving.batching import Batcher, Student
from stages.serving.examples import Examples
from stages.serving.pages import page
from stages.serving.settings import Settings


class Health(BaseModel):
    """Whether requests are taken; the student's folder, its graph in use, its categories; the number of examples."""

    ready: bool
    student: str
    file: str
    labels: list[str]
    examples: int


def classify_router(student: Student, batcher: Batcher, examples: Examples | None, settings: Settings) -> APIRouter:
    """The router."""
    router = APIRouter()

    @router.get("/health", summary="Whether the service is ready (200, else 503), and which student answers")
    def health(response: Response) -> Health:
        response.status_code = 200 if batcher.ready else 503
        return Health(
            ready=batcher.ready,
            student=str(settings.model),
            file=student.file,
            labels=student.labels,
            examples=0 if examples is None else len(examples),
        )

    @router.get("/", include_in_schema=False)
    def classify() -> HTMLResponse:
        return page(
            "classify",
            here="/",
            student=settings.model,
            labels=student.labels,
            examples=examples,
            limits=settings.limits,
        )

    return router
