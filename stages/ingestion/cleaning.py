"""Clean review texts: Unicode, residue of exports, and personal data."""

from __future__ import annotations

import html
import re
import unicodedata

_EXCEL_ESCAPE = re.compile(r"_x[0-9A-Fa-f]{4}_")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SPACE = re.compile(r"\s+")

# Longest pattern first: a card number must not be half eaten by the phone pattern.
_PERSONAL = (
    (re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]+\b"), "[почта]"),
    (re.compile(r"(?<!\d)\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}(?!\d)"), "[карта]"),
    (re.compile(r"(?<!\d)(?:\+7|8)[\s(-]*\d{3}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}(?!\d)"), "[телефон]"),
    (re.compile(r"\b[A-Z]{2}\d{9}[A-Z]{2}\b"), "[номер]"),
    (re.compile(r"(?<!\d)\d{10,}(?!\d)"), "[номер]"),
)


def clean(text: str) -> str:
    """Return `text` in NFC on one line, without export residue, mark-up or invisible characters.

    Phone, card, order and tracking numbers and e-mail addresses become `[телефон]`, `[карта]`, `[номер]`, `[почта]`.
    """
    text = _EXCEL_ESCAPE.sub(" ", text)
    text = _TAG.sub(" ", html.unescape(text))
    text = _CONTROL.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFC", text)))
    for pattern, mask in _PERSONAL:
        text = pattern.sub(mask, text)
    return _SPACE.sub(" ", text).strip()
