"""When two texts are the same."""

from __future__ import annotations

import hashlib


def text_id(text: str) -> str:
    """Identity of a cleaned text: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def letters(text: str) -> str:
    """`text` without case, punctuation and spaces: two texts that agree in it are the same review."""
    return "".join(character for character in text.casefold() if character.isalnum())
