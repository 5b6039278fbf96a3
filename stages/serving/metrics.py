"""What Prometheus is told: requests and how long they take, batches, texts that wait, reviews, memory and processor."""

from __future__ import annotations

import time
from collections.abc import Callable

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TEXTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The figures of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "razmetka_requests",
            "Requests by path, method and status",
            ["path", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "razmetka_request_seconds",
            "Seconds from a request's head to the last byte of its answer",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "razmetka_batch_texts", "Texts that were computed together", buckets=TEXTS, registry=self._registry
        )
        self._waiting = Gauge("razmetka_waiting_texts", "Texts that wait for a batch", registry=self._registry)
        self._reviews = Counter("razmetka_reviews", "Reviews that were answered", registry=self._registry)

    def batch(self, texts: int) -> None:
        """Count a batch of so many texts."""
        self._batches.observe(texts)
        self._reviews.inc(texts)

    def watch(self, waiting: Callable[[], int]) -> None:
        """Ask `waiting` for the number of texts that wait, whenever the figures are asked for."""
        self._waiting.set_function(waiting)

    def request(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, method, status).inc()
        self._seconds.labels(path).observe(seconds)

    def router(self) -> APIRouter:
        """`GET /metrics`."""
        router = APIRouter()

        @router.get("/metrics", summary="Figures for Prometheus")
        def metrics() -> Response:
            return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

        return router


class Measured:
    """Middleware: every request is counted by the path of its route; whatever has none is `other`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            # A client may ask for any path: each would be a series that stays in memory.
            path = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if path != "other" else "any"
            self._metrics.request(path, method, status, time.monotonic() - began)
