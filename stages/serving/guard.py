"""What every request and answer passes: other sites may neither ask here nor put scripts into our pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # Nothing from elsewhere, and no script in a page: a review with mark-up stays text even if a page forgot to escape.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Answers are of today's student and of today's annotations; files are asked for anew by their tag.
    "cache-control": "no-cache",
}
# What changes nothing; any other method of another site's page is refused.
SAFE = ("GET", "HEAD", "OPTIONS")


# What tells how the service is doing has to be answered when it does badly.
WATCHED = ("/health", "/metrics")


class Guard:
    """Middleware: `HEADERS` on every answer, 403 for what another site's page sends, 503 beyond `most` open requests.

    A browser names the page's site in `Origin`. Who is no browser sends none, and may ask.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        given = Headers(scope=scope)
        origin = given.get("origin")
        if scope["method"] not in SAFE and origin is not None and urlsplit(origin).netloc != given.get("host"):
            said = f"a page of {origin} may not ask here; behind a proxy, pass on the Host header that the browser sent"
            await JSONResponse({"detail": said}, 403)(scope, receive, guarded)
            return
        if self._open >= self._most and scope["path"] not in WATCHED:
            busy = {"detail": f"{self._open} requests are open; ask again later"}
            await JSONResponse(busy, 503, {"Retry-After": "5"})(scope, receive, guarded)
            return
        self._open += 1
        try:
            await self._app(scope, receive, guarded)
        finally:
            self._open -= 1
