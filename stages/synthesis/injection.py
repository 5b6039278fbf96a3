"""Text that speaks to a language model instead of about a purchase ("prompt injection"), in whatever disguise."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from stages.common.arrays import BoolArray

# What no review has in any language. All repetitions are bounded or cannot overlap, so that time is linear.
_FOREIGN = re.compile(
    "|".join(
        (
            # Disguises of words: letters one by one, digits for letters.
            r"(?:(?<![^\W_])[^\W\d_][\W_]{1,3}){6}",
            r"\b[^\W\d_]{2,20}[0134678](?!x*[sml]\b)[^\W\d_]{2}|\b[^\W\d_][034678]\w?[^\W\d_]{3}",
            # Encodings: base64, bytes in hexadecimal and binary digits, those of addresses and source code, Morse.
            r"\b(?=[A-Za-z+/]{0,24}\d)[A-Za-z\d+/]{12}|\b(?:[\da-f]{2}[ :]){5}|\b[01]{8}\b|(?:%[\da-f]{2}){3}",
            r"\\[ux][\da-f]{2}|(?:[.\-–—]{1,5}[ /]{1,3}){5}",
            # Tokens, mark-up, objects, code, formulas.
            r"<[|/!a-z]|\|>|\[/?inst|<<sys|```|\*\*\w|\|\s?-{3}|#{2,6} ?\w|\]\(|[{}]",
            r"\$\(|&&|'\s?;|;\s?--|:=|\bdef \w{1,40}\(|^[ \t]*=\s?(?:\d|\w{1,40}\()",
            r"\b(?:select|update|insert|delete|drop)\b.{0,60}\b(?:from|set|as|into|table)\b",
            # Addresses and handles.
            r"https?:|www\.|\w@\w|(?<!\S)@\w{3}|\b[\w-]{2,60}\.(?:ru|com|net|org|me|su|shop|site|online|рф)\b",
        )
    ),
    re.IGNORECASE | re.MULTILINE,
)
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_LATIN = re.compile("[a-z]", re.IGNORECASE)
# Cyrillic letters that Latin ones look like, and that they stand for; longer sounds first.
_LOOKS = str.maketrans("aeopcyxABEKMHOPCTXY", "аеорсухАВЕКМНОРСТХУ")
_SOUNDS = (
    *(("shch", "щ"), ("sch", "щ"), ("zh", "ж"), ("kh", "х"), ("ch", "ч"), ("sh", "ш"), ("ts", "ц"), ("'", "ь")),
    *(("yu", "ю"), ("ju", "ю"), ("ya", "я"), ("ja", "я"), ("yo", "ё")),
    *zip("abvwgdeziyjklmnoprstufhxc", "абввгдезиййклмнопрстуфххц", strict=True),
)


def injection(texts: Sequence[str], patterns: re.Pattern[str], labels: Sequence[str]) -> BoolArray:
    """Where (texts,) a text gives orders to a model: by `patterns` of its language, its form, or how it names a label.

    `labels` are the categories; a review may mention one, but does not quote it, set it after a sign, or repeat it.
    Patterns and names are looked for in the text as it looks, as it sounds, and backwards.
    """
    named = _named(tuple(labels))
    return np.fromiter(
        (
            _FOREIGN.search(text) is not None
            or any(patterns.search(view) or named.search(view) for view in _views(text))
            for text in texts
        ),
        dtype=bool,
    )


def _views(text: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    yield plain
    yield plain[::-1]
    if _LATIN.search(plain):
        yield plain.translate(_LOOKS)
        spoken = plain.casefold()
        for latin, cyrillic in _SOUNDS:
            spoken = spoken.replace(latin, cyrillic)
        yield spoken


@cache
def _named(labels: tuple[str, ...]) -> re.Pattern[str]:
    """Finds a label as an answer names it."""
    names = [re.escape(label).replace(r"\ ", "[ _]") for label in labels]
    label = f"(?:{'|'.join(names)})"
    forms = [
        # Quoted or tagged; alone after a sign; three times.
        rf"[«\"“„'`*#|>]\s?{label}\b",
        rf"(?:[:=→|]|[-–—=]>|[-–—])\s?{label}\s?(?:[.!;,|]|$)",
        rf"(?:\b{label}\b\W+(?:\w+\W+){{0,3}}){{2}}{label}\b",
        # No customer says three words of the kind of "goods for children" by chance.
        *(rf"\b{name}\b" for name in names if name.count("[ _]") > 1),
    ]
    return re.compile("|".join(forms) if labels else r"(?!)", re.IGNORECASE)
