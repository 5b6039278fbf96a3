"""How templates become pages and cards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

# Files that pages include, or a service gives out as they are.
SHARED = Path(__file__).with_name("shared")


def templates(
    folder: Path, autoescape: bool = True, finalize: Callable[[Any], Any] | None = None
) -> jinja2.Environment:
    """The templates of `folder`, which may include its files and `look.css`.

    A name that is not given is an error. With `autoescape` every text is escaped: what reviews hold stays text.
    `finalize` is done to every value that is shown.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, SHARED]),
        undefined=jinja2.StrictUndefined,
        autoescape=autoescape,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
