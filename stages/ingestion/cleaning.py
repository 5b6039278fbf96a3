"""Clean review texts: Unicode, residue of exports, and personal data."""

from __future__ import annotations

import html
import re
import unicodedata
from itertools import groupby

from stages.ingestion.personal_data import mask_personal_data

# A review of so many characters is none; of what an export of pages gives, mark-up is most.
MAX_RAW_CHARS = 100_000
# An escape of an escape, a tag that appears when another goes: two of that were seen, more is nobody's review.
_PASSES = 4

# What `html.unescape` takes to be a number of any length; Python's `int` refuses the longest of them.
_ENDLESS_ESCAPE = re.compile(r"&#(?:[xX][0-9a-fA-F]{8,}+|[0-9]{8,}+);?")
_EXCEL_ESCAPE = re.compile(r"_x[0-9A-Fa-f]{4}_")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# Normalisation sorts marks upon one letter in the square of their number; 30 is the limit of Unicode's stream-safe
# format (UAX 15).
_MOST_MARKS = 30
_SIGNS_IN_A_ROW = re.compile(rf"[^\w\s]{{{_MOST_MARKS + 1},}}+")

# Closed ones go with what is in them. An unclosed one is taken to the end of the text, once, and stays.
# Possessive repetition of alternatives would say it shorter, which Python 3.11.2 gets wrong.
_BLOCKS = (
    re.compile(r"<!--.*?(?:(?P<closed>-->)|\Z)", re.DOTALL),
    re.compile(r"<(script|style)\b[^<>]*+>.*?(?:(?P<closed></\1\s*>)|(?=</\1\b)|\Z)", re.IGNORECASE | re.DOTALL),
)
_ELEMENTS = """
    a abbr acronym address area article aside audio b base bdi bdo big blockquote body br button canvas caption
    center cite code col colgroup dd del details dfn dialog dir div dl dt em embed fieldset figcaption figure font
    footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li link
    main map mark meta nav nobr noscript object ol option p param picture pre q s samp script section select small
    source span strike strong style sub summary sup svg table tbody td template textarea tfoot th thead time title
    tr tt u ul var video wbr
"""
_FLAGS = """allowfullscreen async autoplay checked controls defer disabled hidden loop muted nowrap readonly required
    selected"""
# `<L мал, а >XL` and `a<b` are text: a tag has the name of an element and whole attributes.
_TAG = re.compile(
    rf"""< (?: / (?:{"|".join(_ELEMENTS.split())}) \s*+
      | (?:{"|".join(_ELEMENTS.split())})
        (?: \s++ (?: [a-z_:@][\w:.-]*+ \s*+ = \s*+ (?: "[^"<>]*+" | '[^'<>]*+' | [^\s"'=<>`]++ )
          | (?:{"|".join(_FLAGS.split())}) (?=[\s/>]) ) )*+ \s*+ /?
      | !doctype\b [^<>]*+ ) >""",
    re.IGNORECASE | re.VERBOSE,
)


def clean(text: str) -> str:
    """Return `text` in NFC on one line, without export residue, mark-up or invisible characters.

    Personal data become words in brackets, see `mask_personal_data`. Only the first `MAX_RAW_CHARS` characters are
    looked at. What was cleaned is not changed by cleaning it again.
    """
    text = text[:MAX_RAW_CHARS]
    for _ in range(_PASSES):
        cleaned = mask_personal_data(_plain(text))
        if cleaned == text:
            return cleaned
        text = cleaned
    # Nested deeper than any export does it: what could begin one more layer goes.
    return mask_personal_data(_plain(re.sub("[<&]", " ", text)))


def _plain(text: str) -> str:
    """`text` in NFC on one line, one layer of escapes and mark-up taken off."""
    text = html.unescape(_ENDLESS_ESCAPE.sub("\ufffd", text))
    text = _SIGNS_IN_A_ROW.sub(_without_stacked_marks, _INVISIBLE.sub("", text))
    text = _EXCEL_ESCAPE.sub(" ", _CONTROL.sub(" ", unicodedata.normalize("NFC", text)))
    for block in _BLOCKS:
        text = block.sub(lambda match: " " if match["closed"] else match[0], text)
    return " ".join(_TAG.sub(" ", text).split())


def _without_stacked_marks(signs: re.Match[str]) -> str:
    marks = (list(run) for combining, run in groupby(signs[0], key=lambda sign: unicodedata.combining(sign) > 0))
    return "".join(sign for run in marks for sign in (run[:_MOST_MARKS] if unicodedata.combining(run[0]) else run))
