"""Texts in lower case: one word has one spelling, however a review begins or shouts."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import normalizers

# Russian may leave out the two dots, too.
LOWER = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("ё", "е")])


def as_read(texts: Sequence[str], *, lowercase: bool, prompt: str = "") -> list[str]:
    """What an encoder reads of `texts`: with `lowercase` as a tokenizer with `LOWER` sees them, after its `prompt`."""
    return [prompt + (LOWER.normalize_str(text) if lowercase else text) for text in texts]
