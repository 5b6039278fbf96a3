"""Personal data in a text, replaced by a word in brackets.

All patterns are linear in the text: what starts is taken to its end at once (possessive quantifiers) and not tried anew
from its middle, and what else repeats is bounded. People's names and addresses are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from stages.ingestion.numbers import mask_numbers


def mask_personal_data(text: str) -> str:
    """`text`, on one line, with a word in brackets for each piece of personal data.

    `[почта]`: e-mail addresses, spelled ones too; `[ник]`: names and pages in social networks; `[паспорт]`: series and
    number; `[номер]`: tracking numbers; the others of `mask_numbers`.
    """
    for needed, masked in _STEPS:
        if needed.search(text):
            text = masked(text)
    return text


def _pattern(expression: str) -> re.Pattern[str]:
    """Spaces of `expression` do not count. What its group `before` has matched stays."""
    return re.compile(expression, re.IGNORECASE | re.VERBOSE)


_DOT = r"(?: \. | \s\.\s | \s?[(\[{](?:dot|точка)[)\]}]\s? | \s(?:dot|точка)\s | ,(?=(?:ru|com|рф)\b) )"
_MAIL = _pattern(
    rf"""(?P<before>) (?<![\w.+-]) [\w.+-]++
    (?: \s?[@＠]\s? | \s?[(\[{{<]\s?(?:@|at|a|а|собака|собачка)\s?[)\]}}>]\s? | \s(?:собака|собачка)\s
      | \sat\s(?=[a-z0-9-]++\sdot\s) )
    (?: (?:[a-z0-9-]++{_DOT}){{1,6}} (?:xn--[a-z0-9-]++|[a-z]{{2,24}}+) (?![a-z0-9])
      | (?:[а-яё0-9-]++{_DOT}){{1,6}} (?:рф|рус|москва|дети|сайт|онлайн|орг|ком|ру|бел|укр) (?![\w-])
      | (?<=[@＠]) (?:mail|gmail|yandex|ya|yahoo|icloud|bk|inbox|list|rambler|outlook|hotmail) (?![\w-]) )"""
)
_NETWORK = r"""telegram | телеграмм?[еа]? | instagram | инстаграмм?[еа]? | insta? | inst | инста | vk | вк | вконтакте
    | tg | тг | телега | discord | дискорд | skype | скайп | ник"""
_PAGE = _pattern(
    r"""(?P<before>) (?<![\w.-])
    (?: (?:tg|viber|whatsapp):/
      | (?:https?://)? (?:www\.|m\.)? (?: t\.me | telegram\.(?:me|dog) | vk\.(?:com|me|ru) | ok\.ru | instagram\.com
        | facebook\.com | fb\.com | wa\.me | api\.whatsapp\.com | tiktok\.com | discord\.gg ) )
    (?:[/@.?=&%+\#~-]++[a-z0-9_]++)++"""
)
_PASSPORT = _pattern(
    r"""(?P<before> (?:паспорт|загран|пасп\.|пасп\b|сери[яию]) [^\d\[\]]{0,30} | (?<!\d)(?=\d\d\s?\d\d\s?№) )
    (?: \d\d\s?\d\d [\s,№:-]{0,4} (?:номер|ном\.)? [\s,№:-]{0,4} \d{6} | \d\d [\s№-]{0,3} \d{7} ) (?!\d)"""
)
# S10 of the Universal Postal Union.
_TRACKING = re.compile(r"(?P<before>)\b[A-Z]{2}\s?\d{3}\s?\d{3}\s?\d{3}\s?[A-Z]{2}\b")

_NAME = r"[a-z][a-z0-9_]*+ (?:[.-][a-z0-9_]++)*+"
_AT_NAME = _pattern(rf"(?P<before>) (?<![\w@＠.]) [@＠] (?=[\w.]{{4}}) {_NAME}")
# Without a sign between, a name is what has a digit or _, or is in small letters after what is said of names alone.
_NAME_AFTER = _pattern(
    rf"""(?P<before> (?<!\w) (?: (?:{_NETWORK}) (?: \s?[:=@/—–-]\s? | \s(?=[a-z.]*+[\d_\#]) )
      | (?:tg|тг|телега|discord|дискорд|skype|скайп|ник)\s(?-i:(?=[a-z])) ) )
    (?=[\w.]{{4}}) {_NAME} (?:\#\d{{4}})?"""
)
_NAME_IN = _pattern(
    rf"(?P<before>) (?<![\w@.-]) (?=[a-z.]*+[\d_]) (?=[\w.]{{4}}) {_NAME} (?=\s(?:в|на)\s(?:{_NETWORK})(?!\w))"
)

# Most reviews have neither Latin letters nor digits, and are done at once.
_LATIN, _DIGIT, _AT = (
    re.compile("[A-Za-z]"),
    re.compile(r"\d"),
    re.compile(r"[@＠(\[{<]|собак|собач|\sat\s", re.IGNORECASE),
)
_STEPS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (_LATIN, partial(_PAGE.sub, r"\g<before>[ник]")),
    (_AT, partial(_MAIL.sub, r"\g<before>[почта]")),
    (_DIGIT, partial(_PASSPORT.sub, r"\g<before>[паспорт]")),
    (_DIGIT, partial(_TRACKING.sub, r"\g<before>[номер]")),
    (_DIGIT, mask_numbers),
    (_LATIN, partial(_AT_NAME.sub, r"\g<before>[ник]")),
    (_LATIN, partial(_NAME_AFTER.sub, r"\g<before>[ник]")),
    (_LATIN, partial(_NAME_IN.sub, r"\g<before>[ник]")),
)
