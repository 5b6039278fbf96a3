"""Render the labelling prompt: a Jinja template over the labels, one review, and examples like it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2
import jinja2.meta

from stages.common.errors import ConfigError
from stages.labelling.demonstrations import Example


def load_template(path: str) -> jinja2.Template:
    """Compile a prompt template.

    Raises:
        ConfigError: the file is missing, is not valid Jinja, or does not use `review`.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"prompt template {path} does not exist; the templates that come along are in conf/prompt/")
    source = file.read_text(encoding="utf-8").rstrip("\n")
    try:
        template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno}: {error.message}") from error
    if "review" not in jinja2.meta.find_undeclared_variables(jinja2.Environment().parse(source)):
        raise ConfigError(f"{path} never uses {{{{ review }}}}; the teacher would see no review")
    return template


def render_prompt(template: jinja2.Template, labels: list[str], review: str, examples: Sequence[Example] = ()) -> str:
    """Fill the template; an unknown variable in it is a `ConfigError`."""
    try:
        return template.render(labels=labels, review=review, examples=examples)
    except jinja2.UndefinedError as error:
        raise ConfigError(f"the prompt template uses an unknown variable: {error.message}") from error
