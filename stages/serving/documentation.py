"""`/docs`: what the service can be asked, from its OpenAPI description, without outside parts."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse

from stages.serving.pages import page


def documentation_router(app: FastAPI) -> APIRouter:
    """The router of a page about `app`."""
    router = APIRouter()

    @router.get("/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        described = app.openapi()
        operations = [
            {"method": method.upper(), "path": path, **_told(operation)}
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
        ]
        return page("docs", operations=operations, here="/docs", address=str(request.base_url).rstrip("/"))

    return router


def _told(operation: dict[str, Any]) -> dict[str, Any]:
    """A summary and, if it has them, the names of what stands in the query, the kind of the body, and an example."""
    bodies = operation.get("requestBody", {}).get("content", {})
    example = bodies.get("application/json", {}).get("example")
    return {
        "summary": operation["summary"],
        "query": [given["name"] for given in operation.get("parameters", [])],
        "kind": next(iter(bodies), None),
        "example": None if example is None else json.dumps(example, ensure_ascii=False),
    }
