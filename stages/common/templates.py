"""The Jinja prompts of labelling and generation, and the one place where what is put into them becomes harmless."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta

from stages.running.config import read_utf8
from stages.running.errors import ConfigError

_JINJA = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)


@dataclass(frozen=True)
class PromptTemplate:
    """A compiled prompt, the names that it uses, and the lines that every prompt made of it holds.

    `neutralise` takes the control tokens of the model that reads the prompt out of a text.
    """

    compiled: jinja2.Template
    variables: frozenset[str]
    fixed_lines: list[str]
    neutralise: Callable[[str], str]

    def render(self, **values: Any) -> str:
        """The prompt; an unknown name in the template, or an expression that fails, is a `ConfigError`.

        Of every text among `values`, however deep in lists and mappings, control tokens are broken and line breaks
        become spaces: nothing that a review says can end its turn, or look like a line of the prompt's own.
        """
        try:
            return self.compiled.render(**self._harmless(values))
        except jinja2.UndefinedError as error:
            raise ConfigError(
                f"{self.compiled.filename}: {error.message}; a prompt may use {', '.join(values)}"
            ) from error
        except Exception as error:
            # A template is its writer's code, which may raise anything.
            raise ConfigError(f"{self.compiled.filename}: {type(error).__name__}: {error}") from error

    def shown_texts(self) -> list[str]:
        """The fixed lines, without what stands before the first colon: among them the prompt's own examples."""
        return [line.partition(": ")[2] or line for line in self.fixed_lines]

    def _harmless(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.neutralise(" ".join(value.splitlines()))
        if isinstance(value, dict):
            return {self._harmless(key): self._harmless(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._harmless(part) for part in value]
        return value


def load_template(path: str, neutralise: Callable[[str], str]) -> PromptTemplate:
    """Compile a prompt for a model with that `neutralise`.

    Raises:
        ConfigError: the file is missing, malformed or not UTF-8.
    """
    file = Path(path)
    if not file.exists():
        raise ConfigError(f"{path} does not exist; the prompts that come along are in conf/prompt/ and conf/generate/")
    source = read_utf8(file).rstrip("\n")
    try:
        compiled = _JINJA.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno}: {error.message}") from error
    compiled.filename = path
    variables = frozenset(jinja2.meta.find_undeclared_variables(_JINJA.parse(source)))
    fixed = [line for line in source.splitlines() if line.strip() and "{{" not in line and "{%" not in line]
    return PromptTemplate(compiled, variables, fixed, neutralise)
