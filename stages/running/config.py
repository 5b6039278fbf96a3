"""Typed, strict configuration: how a stage reads its part of `params.yaml`.

`params.yaml` is composed from `conf/` by Hydra (`make params`, `dvc exp run -S …`). A stage never composes. It names
the sections that it uses in a class of its own and reads them with `load`; each section stands beside the code that
it configures, so that a new key of one is no change to the others. All of them together are
`composition.params.Params`, which stage `check` holds the whole file against before anything else runs.
"""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any, TypeVar, cast, dataclass_transform

import pydantic
import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import ErrorDetails

from stages.running.errors import ConfigError

PARAMS = Path("params.yaml")
Section = TypeVar("Section")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def section(cls: type[Section]) -> type[Section]:
    """Make a configuration section: a frozen dataclass without coercion and without room for unknown keys."""
    made = pydantic_dataclass(frozen=True, kw_only=True, config={"strict": True, "extra": "forbid"})(cls)
    return cast(type[Section], made)


def require(condition: bool, message: str) -> None:
    """Raise `ConfigError(message)` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def require_option(key: str, value: str, options: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless `value` is one of `options`."""
    require(value in options, f"{key}={value!r} is not an option; choose one of {', '.join(options)}")


def load(sections: type[Section], path: Path = PARAMS) -> Section:
    """Read the sections of `path` that are fields of the class `sections`; what else stands there is not looked at.

    Raises:
        ConfigError: as `read` and `checked`.
    """
    given = read(path)
    wanted = {part.name for part in fields(sections)}  # type: ignore[arg-type]
    return checked(sections, {name: value for name, value in given.items() if name in wanted}, path)


def read(path: Path) -> dict[str, Any]:
    """The content of a parameter file.

    Raises:
        ConfigError: the file is missing, not YAML in UTF-8, or no mapping.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; run `make params` to compose it from conf/")
    given = parse(path)
    if not isinstance(given, DictConfig):
        raise ConfigError(f"{path} must be a mapping of sections; run `make params` to compose it from conf/")
    try:
        return cast(dict[str, Any], OmegaConf.to_container(given, resolve=True))
    except (OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(f"{path}: {str(error).splitlines()[0]}") from error


def parse(path: Path) -> DictConfig | ListConfig:
    """A YAML file of the configuration, its interpolations as they stand.

    Raises:
        ConfigError: it cannot be read, or is not YAML in UTF-8; the message names the line.
    """
    text = read_utf8(path)
    try:
        return OmegaConf.load(io.StringIO(text))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, OmegaConfBaseException, OSError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error


def read_utf8(path: Path) -> str:
    """The text of a file of the configuration, without a byte order mark.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8; the message names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}, line {line}: not UTF-8. Save it as UTF-8, or convert it; what Windows saves in Russia by "
            f"`iconv -f CP1251 -t UTF-8 {shlex.quote(str(path))} > converted`"
        ) from error


def checked(sections: type[Section], given: Mapping[str, Any], path: Path) -> Section:
    """`given`, read from `path`, as an instance of the class `sections`.

    Raises:
        ConfigError: keys are unknown, missing or of the wrong type; the message names them all.
    """
    try:
        # By way of JSON, since strict checking takes a mapping for a section from JSON alone.
        return pydantic.TypeAdapter(sections).validate_json(json.dumps(given))
    except pydantic.ValidationError as error:
        raise ConfigError(f"{path}: " + "; ".join(_fault(fault) for fault in error.errors())) from error


def _fault(fault: ErrorDetails) -> str:
    """One fault in words: the key, the value, and the right form."""
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key {key}={fault['input']!r}"
    if fault["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"lacks {key}; run `make params`"
    if fault["type"] == "dataclass_type":
        group = key.replace(".", "/")
        return (
            f"{key}={fault['input']!r} is no group of settings; an option of it is selected by {group}={fault['input']}"
        )
    if fault["type"] == "string_type" and isinstance(fault["input"], int | float):
        return f"{key}={fault['input']!r}: a text, so in quotes, {key}='{fault['input']}'"
    return f"{key}={fault['input']!r}: {fault['msg']}"
