"""Texts of users, models and files in the cards: as text in Markdown, as a value in its YAML head."""

from __future__ import annotations

import re

import yaml

# What starts mark-up within a line; an underscore within a word does not.
SPECIAL = re.compile(r"[\\`*<>&|~$]|(?<=\])\(|(?<![^\W_])_|_(?![^\W_])")


def inline(text: str) -> str:
    """`text` in one line without mark-up of its own; in a table, too."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def code(text: str) -> str:
    """`text` in one line between backticks; not for a table, where a code span ends at a bar."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def yaml_value(text: str) -> str:
    """`text` as a value in double quotes, in one line of YAML."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf")).rstrip("\n")
