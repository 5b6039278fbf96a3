"""The service's pages: templates in `pages/`, what they load in `static/` and among what all pages share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse

from stages.pages.templates import templates

FOLDER = Path(__file__).with_name("pages")
STATIC = Path(__file__).with_name("static")

_TEMPLATES = templates(FOLDER)


def page(name: str, **values: Any) -> HTMLResponse:
    """The page that `pages/<name>.html.jinja` makes of `values`, every text of which is escaped."""
    return HTMLResponse(_TEMPLATES.get_template(f"{name}.html.jinja").render(values))
