"""What a user types as `key=value` -> an override of Hydra's grammar, whose bare values are ASCII without brackets."""

from __future__ import annotations

import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from stages.running.errors import ConfigError

# Quotes and brackets that open a value keep the spaces in it; an apostrophe within a word is one.
WORD = re.compile(r"""(?:(?<![^\s=])(?:'[^']*'|"[^"]*"|\[[^\]]*\]|\{[^}]*\})|\S)+""")
# What stands in quotes within a list, or a bare item of it.
ITEM = re.compile(r"""('[^']*'|"[^"]*")|[^\[\]{},'"]+""")


def split(line: str) -> list[str]:
    """The overrides of one line, between spaces; `key='with spaces'` and `'key=with spaces'` are one each."""
    words = WORD.findall(line)
    return [word[1:-1] if word[0] in "'\"" and word[-1] == word[0] else word for word in words]


def readable(override: str) -> str:
    """`override` as it stands where Hydra takes it, else with its value, or the items of its list, in quotes.

    What would stand for several values is one: a configuration is composed once.

    Raises:
        ConfigError: it has no key, or one that Hydra does not take.
    """
    key, equals, value = override.partition("=")
    if not key.startswith("~") and (not equals or not key):
        raise ConfigError(f"{override!r} is no key=value; a value with spaces stands in quotes: key='two words'")
    if not _is_taken(f"{key}=1"):
        raise ConfigError(
            f"{override!r}: {key!r} is no key that Hydra takes (Latin letters, digits, - and _ between dots); others "
            "are written into a file of conf/"
        )
    return f"{key}={_readable_value(value)}" if equals else override


def _readable_value(value: str) -> str:
    if _is_taken(f"x={value}"):
        return value
    if value[:1] + value[-1:] == "[]":
        items = ITEM.sub(lambda found: found[1] or _readable_value(found[0].strip()), value)
        if _is_taken(f"x={items}"):
            return items
    return QuotedString(value, Quote.single).with_quotes()


def _is_taken(override: str) -> bool:
    try:
        return not OverridesParser.create().parse_override(override).is_sweep_override()
    except HydraException:
        return False
