"""When two texts are the same."""

from __future__ import annotations

import hashlib
import unicodedata


def text_id(text: str) -> str:
    """Identity of a cleaned text: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def folded(text: str) -> str:
    """`text` in NFC, without case, ё as е: as it is compared, and never as it is shown."""
    return unicodedata.normalize("NFC", text).casefold().replace("ё", "е")


def letters(text: str) -> str:
    """`text` folded, without punctuation, spaces and stress marks: two texts that agree in it are the same review.

    Latin letters that look like Cyrillic ones stay what they are: a size M is no М.
    """
    return "".join(character for character in folded(text) if character.isalnum())
