"""The Jinja prompts of labelling and generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta

from stages.common.errors import ConfigError

_JINJA = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)


@dataclass(frozen=True)
class PromptTemplate:
    """A compiled prompt, the names that it uses, and the lines that every prompt made of it holds."""

    compiled: jinja2.Template
    variables: frozenset[str]
    fixed_lines: list[str]

    def render(self, **values: Any) -> str:
        """The prompt; an unknown name in the template is a `ConfigError`."""
        try:
            return self.compiled.render(**values)
        except jinja2.UndefinedError as error:
            raise ConfigError(
                f"{self.compiled.filename}: {error.message}; a prompt may use {', '.join(values)}"
            ) from error

    def shown_texts(self) -> list[str]:
        """The fixed lines, without what stands before the first colon: among them the prompt's own examples."""
        return [line.partition(": ")[2] or line for line in self.fixed_lines]


def load_template(path: str) -> PromptTemplate:
    """Compile a prompt; a missing or malformed file is a `ConfigError`."""
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"{path} does not exist; the prompts that come along are in conf/prompt/ and conf/generate/")
    source = file.read_text("utf-8").rstrip("\n")
    try:
        compiled = _JINJA.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno}: {error.message}") from error
    compiled.filename = path
    variables = frozenset(jinja2.meta.find_undeclared_variables(_JINJA.parse(source)))
    fixed = [line for line in source.splitlines() if line.strip() and "{{" not in line and "{%" not in line]
    return PromptTemplate(compiled, variables, fixed)
