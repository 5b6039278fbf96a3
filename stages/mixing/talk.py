"""What customers of a shop say beside the product, of delivery, the seller, the price; and a text among it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

# A sentence ends with one of these and a space; customers end one with a smile, too.
_END = re.compile(r"(?<=[.!?…)])\s+")
# Shorter ones say nothing at all.
_MIN_CHARS = 12


def sentences(texts: Iterable[str], max_chars: int) -> list[str]:
    """The sentences of `texts` that are of at most `max_chars` characters, each once, sorted."""
    found = {sentence.strip() for text in texts for sentence in _END.split(text)}
    return sorted(sentence for sentence in found if _MIN_CHARS <= len(sentence) <= max_chars)


def among(text: str, talk: Sequence[str], most: int, generator: np.random.Generator) -> str:
    """`text` with one to `most` of the sentences `talk` before and after."""
    count = int(generator.integers(1, min(most, len(talk)) + 1))
    told = [talk[number] for number in generator.choice(len(talk), count, replace=False)]
    told.insert(int(generator.integers(count + 1)), text)
    return " ".join(sentence if sentence[-1] in ".!?…)" else f"{sentence}." for sentence in told)
