"""Texts in lower case: one word has one spelling, however a review begins or shouts."""

from __future__ import annotations

from tokenizers import normalizers

# Russian may leave out the two dots, too.
LOWER = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("ё", "е")])


def lowered(text: str) -> str:
    """`text` in lower case, as a tokenizer with `LOWER` sees it."""
    return LOWER.normalize_str(text)
