"""The service's pages: templates in `pages/`, what they load in `static/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from starlette.responses import HTMLResponse

FOLDER = Path(__file__).with_name("pages")
STATIC = Path(__file__).with_name("static")

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    undefined=jinja2.StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(name: str, **values: Any) -> HTMLResponse:
    """The page that `pages/<name>.html.jinja` makes of `values`, every text of which is escaped."""
    return HTMLResponse(_TEMPLATES.get_template(f"{name}.html.jinja").render(values))
