"""Files of regular expressions, so that what is peculiar to a language stands in conf/."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from stages.running.errors import ConfigError


@cache
def read_patterns(path: str) -> re.Pattern[str]:
    """One pattern that finds whatever any line of the file finds, in any case; `^` and `$` are those of a line.

    Empty lines and lines that begin with # are left out. A file without patterns finds nothing.

    Raises:
        ConfigError: no such file, or a line that is no regular expression (named).
    """
    if not Path(path).is_file():
        raise ConfigError(
            f"{path} does not exist; generate.filters.assistant_talk and injection name files of conf/generate/"
        )
    patterns = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            re.compile(line)
        except re.error as error:
            raise ConfigError(f"{path}, line {number}: {line!r} is no regular expression: {error}") from error
        patterns.append(line)
    return re.compile("|".join(patterns) if patterns else r"(?!)", re.IGNORECASE | re.MULTILINE)
