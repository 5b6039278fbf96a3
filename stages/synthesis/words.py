"""Words and word n-grams, as the filters and the measures count them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stages.common.texts import folded

WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of `text` in lower case, without punctuation; ё counts as е."""
    return WORD.findall(folded(text))


def ngrams(tokens: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """All runs of `size` consecutive tokens, in order."""
    return [tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)]
