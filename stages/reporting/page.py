"""Render the pages and the cards from their templates."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from markupsafe import Markup

from stages.common.markdown import code, inline, yaml_value
from stages.pages.templates import templates
from stages.reporting.figures import Figures

FOLDER = Path(__file__).parent


def page(given: Figures, template: str = "page.html.jinja", script: str = "scatter.js") -> str:
    """A page as HTML without outside parts, from a template of this folder that runs no script but `script`.

    A content security policy lets nothing be loaded and no script run but the page's own, known by its hash: a review
    with mark-up stays text even if a template forgot to escape it.
    """
    environment = templates(FOLDER)
    # Cyrillic as it is: escaped, the points would take twice the room. `tojson` still escapes < > & and '.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":"), "allow_nan": False}
    script = (FOLDER / script).read_text(encoding="utf-8").rstrip("\n")
    digest = base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode()
    return environment.get_template(template).render(given, script_digest=digest)


def card(template: str, given: Figures) -> str:
    """A text from a template of this folder: `model_card.md.jinja`, `dataset_card.md.jinja`, `example.py.jinja`.

    Every text that a template shows is text in Markdown; its filters `code` and `yaml_value` make it something else,
    and `safe` leaves mark-up of ours as it is.
    """
    environment = templates(FOLDER, autoescape=False, finalize=_as_text)
    for made in (code, yaml_value):
        environment.filters[made.__name__] = lambda text, made=made: Markup(made(text))
    return environment.get_template(template).render(given)


def _as_text(value: Any) -> Any:
    return inline(value) if isinstance(value, str) and not isinstance(value, Markup) else value
