"""The service: its parts, a router each, behind one guard."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.staticfiles import StaticFiles

from stages.inference.load import EXPORTED
from stages.inference.onnx_classifier import OnnxClassifier
from stages.pages.templates import SHARED
from stages.running.errors import ModelError
from stages.serving.annotation import annotation_router
from stages.serving.asking import Asking
from stages.serving.batching import Batcher, Student
from stages.serving.body import explained
from stages.serving.classify import classify_router
from stages.serving.documentation import documentation_router
from stages.serving.examples import read_examples
from stages.serving.guard import Guard
from stages.serving.metrics import Measured, Metrics
from stages.serving.neighbours import neighbours_router
from stages.serving.pages import STATIC
from stages.serving.prediction import prediction_router
from stages.serving.settings import Settings
from stages.serving.tables import tables_router

logger = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application.

    Raises:
        ModelError: `settings.model` is no folder of an exported student, or a damaged one.
        DataError: `settings.index` is damaged.
    """
    return service(settings, None if settings.model is None else load_student(settings.model))


def load_student(folder: Path) -> Student:
    """The exported student in `folder`, which has answered once, so that it is known to.

    Raises:
        ModelError: there is none, or it cannot answer.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} does not exist: `make repro` makes a student, --model FOLDER names another")
    student = OnnxClassifier(folder / EXPORTED)
    student.predict_and_embed(["отзыв"])
    return student


def service(settings: Settings, student: Student | None) -> FastAPI:
    """The service around a student; without one, no router that asks it."""
    metrics = Metrics()
    batcher = None if student is None else Batcher(student, settings.batch_size, settings.limits.waiting, metrics.batch)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if batcher is not None:
            batcher.stop()

    # FastAPI's own pages of documentation load scripts from elsewhere.
    app = FastAPI(title="Razmetka", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.mount("/static", StaticFiles(directory=STATIC, packages=[("stages.pages", SHARED.name)]))
    if student is not None and batcher is not None:
        metrics.watch(lambda: batcher.waiting)
        examples = read_examples(settings.index, lambda texts: student.predict_and_embed(texts)[1])
        asking = Asking(batcher, settings.limits)
        app.include_router(prediction_router(asking))
        app.include_router(tables_router(batcher, settings.limits))
        app.include_router(neighbours_router(asking, examples))
        app.include_router(classify_router(student, batcher, examples, settings))
    app.include_router(annotation_router(settings.answers, settings.categories, settings.limits))
    app.include_router(metrics.router())
    app.include_router(documentation_router(app))
    app.add_exception_handler(RequestValidationError, _unusable)
    # The last one added sees a request first.
    app.add_middleware(Measured, metrics=metrics)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.hosts), www_redirect=False)
    app.add_middleware(Guard, most=settings.limits.requests)
    return app


async def _unusable(_: Request, error: Any) -> JSONResponse:
    """What FastAPI finds wrong with a query, in words as of a body."""
    return JSONResponse({"detail": explained(error.errors())}, 422)
