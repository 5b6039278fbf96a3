"""Numbers of people in a text: phones, cards, documents; and what only looks like one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import phonenumbers

# A Latin letter beside them makes digits the name of a model.
_DIGITS = re.compile(r"(?<![A-Za-z\d])\d++(?![A-Za-z])")
# Spaces, brackets, dots and all sorts of dashes between the groups of a number.
_GAP = re.compile(r"[\s().\-‐-―_/*=]{1,4}")
_MOST_GROUPS, _DIGIT_BY_DIGIT = 7, (1,) * 11


def mask_numbers(text: str) -> str:
    """`text`, on one line, with `[телефон]`, `[карта]`, `[паспорт]` and `[номер]` for the numbers of people.

    `[номер]` stands for INN, SNILS, OGRN and accounts, and for ten or more digits in a row that are neither an article
    number nor a barcode.
    """
    groups = [match.span() for match in _DIGITS.finditer(text)]
    parts, done = [], 0
    for first, (start, _) in enumerate(groups):
        if start < done:
            continue
        for number in _numbers(text, groups[first : first + len(_DIGIT_BY_DIGIT)]):
            mask = _mask(number)
            if mask:
                parts += [text[done : number.start], mask]
                done = number.end
                break
    return "".join([*parts, text[done:]])


@dataclass(frozen=True)
class _Number:
    """Neighbouring groups of digits that may be one number, with the plus or bracket before them.

    `shape` are the lengths of the groups.
    """

    text: str
    start: int
    end: int
    digits: str
    shape: tuple[int, ...]

    @property
    def written(self) -> str:
        return self.text[self.start : self.end]

    def follows(self, words: re.Pattern[str]) -> bool:
        return words.search(self.text[max(0, self.start - 50) : self.start]) is not None

    def precedes(self, words: re.Pattern[str]) -> bool:
        return words.match(self.text, self.end) is not None


def _numbers(text: str, groups: Sequence[tuple[int, int]]) -> Iterator[_Number]:
    """What may be a number that starts with the first of `groups`, the longest first."""
    joined = 1
    while joined < len(groups) and _GAP.fullmatch(text, groups[joined - 1][1], groups[joined][0]):
        joined += 1
    lengths = [end - start for start, end in groups[:joined]]
    for count in range(joined, 0, -1):
        shape = tuple(lengths[:count])
        if _is_shape(shape):
            start, end = _opening(text, groups[0][0], groups[count - 1][1]), groups[count - 1][1]
            digits = "".join(text[begin:until] for begin, until in groups[:count])
            yield _Number(text, start, end, digits, shape)


def _is_shape(shape: tuple[int, ...]) -> bool:
    """Whether any kind of number has it: what is cheap to say comes first."""
    if len(shape) == 1:
        return shape[0] >= 10
    if len(shape) > _MOST_GROUPS or max(shape) == 1:
        return shape == _DIGIT_BY_DIGIT
    return sum(shape) in (6, 7) or 10 <= sum(shape) <= 20


def _opening(text: str, start: int, end: int) -> int:
    """Where the number from `start` to `end` begins with its plus, or with a bracket that closes within it."""
    if start and text[start - 1] == "(" and ")" in text[start:end]:
        start -= 1
    for plus in ("+", "+ "):
        if start >= len(plus) and text.startswith(plus, start - len(plus)):
            return start - len(plus)
    return start


def _mask(number: _Number) -> str:
    """The word that stands for it, or nothing where it is no number of a person."""
    return next((mask for mask, is_one in _KINDS if is_one(number)), "")


def _before(words: str) -> re.Pattern[str]:
    """One of `words` before a number, with neither digits nor masks between."""
    return re.compile(rf"\b(?:{words})(?!\w)[^\d\[\]]{{0,25}}$", re.IGNORECASE)


_CARD_WORD = _before(r"карт[аыуе]|картой|сбер\w*|visa|мир")
_PHONE_WORD = _before(r"тел|телефон\w*|сот|моб\w*|\w*звон\w+|номер|в[ао]тс\w*|whats\w*|вайбер\w*|viber")
_DOCUMENT_WORD = _before(r"инн|снилс|огрн\w*|р/с|сч[её]т\w*|заказ\w*|трек\w*|накладн\w+|отправлени\w+")
_GOODS_WORD = _before(r"арт|артикул\w*|модел\w+|код\w*\sтовара|штрих\W?код\w*|ean|isbn|парти\w+|гост|ту")
_UNIT = re.compile(r"\s?(?:к?г|гр|грам\w*|мл|[см]м|р|руб\w*|₽|\$|€|сум|тенге|шт\w*|раз)(?!\w)", re.IGNORECASE)


def _is_card(number: _Number) -> bool:
    """By Luhn's check digit and groups of four or more; where it is announced, one of the two will do."""
    digits, shape = number.digits, number.shape
    if not 13 <= len(digits) <= 19:
        return False
    if not _luhn(digits):
        return shape in ((16,), (4, 4, 4, 4)) and number.follows(_CARD_WORD)
    if len(digits) == 15 and digits[:2] in ("34", "37"):
        usual = shape in ((15,), (4, 6, 5))
    else:
        # 2 to 6: Mir, Visa, Mastercard, Maestro, UnionPay.
        usual = len(digits) >= 16 and digits[0] in "23456" and min(shape[:-1], default=4) >= 4
    return usual or number.follows(_CARD_WORD)


def _is_passport(number: _Number) -> bool:
    """A series, of which the last two digits are a year since 1997, and six digits."""
    series = number.shape == (2, 2, 6) or (number.shape == (4, 6) and number.digits[:2] not in ("19", "20"))
    return series and not 35 < int(number.digits[2:4]) < 97 and not number.follows(_GOODS_WORD)


def _is_document(number: _Number) -> bool:
    """INN, SNILS or OGRN by check digits, or an account of 20 digits; announced, or SNILS in its own shape."""
    digits = number.digits
    checked = len(digits) == 20 or _inn(digits) or _snils(digits) or _ogrn(digits)
    return checked and ((_snils(digits) and number.shape == (3, 3, 3, 2)) or number.follows(_DOCUMENT_WORD))


def _is_long(number: _Number) -> bool:
    if len(number.shape) > 1 or len(number.digits) < 10 or number.precedes(_UNIT):
        return False
    goods = (len(number.digits) == 13 and _ean(number.digits)) or number.follows(_GOODS_WORD)
    return not goods or number.follows(_DOCUMENT_WORD)


def _is_phone(number: _Number) -> bool:
    """A number that can be dialled, in a shape that prices, weights, sizes and dates do not have."""
    if number.written.startswith("+"):
        return _is_international(number)
    is_one = {6: _is_local, 7: _is_local, 10: _is_without_country, 11: _is_with_country}.get(len(number.digits))
    return is_one is not None and is_one(number) and not number.follows(_GOODS_WORD) and not number.precedes(_UNIT)


def _is_international(number: _Number) -> bool:
    if number.digits.startswith("7"):
        return len(number.digits) == 11
    # Of degrees one after another (+20 25 30) none has three digits.
    if max(number.shape) < 3 or not 10 <= len(number.digits) <= 15:
        return False
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(f"+{number.digits}"))
    except phonenumbers.NumberParseException:
        return False


def _is_local(number: _Number) -> bool:
    dashed = number.shape in ((3, 2, 2), (2, 2, 2)) and number.written.count("-") == 2
    return dashed and number.follows(_PHONE_WORD)


def _is_without_country(number: _Number) -> bool:
    digits, shape = number.digits, number.shape
    if shape[0] < 3 or min(shape) < 2 or not _is_valid(digits):
        return False
    mobile = digits[0] == "9" and shape in ((10,), (3, 7), (3, 3, 2, 2))
    dashed = "-" in number.written and shape == (3, 3, 2, 2)
    return mobile or dashed or "(" in number.written or number.follows(_PHONE_WORD)


def _is_with_country(number: _Number) -> bool:
    digits, shape = number.digits, number.shape
    if digits[0] not in "78":
        return False
    if shape == _DIGIT_BY_DIGIT:
        return digits[1] == "9"
    code = shape[1] if shape[0] == 1 else shape[0] - 1
    if code >= 3 and min(shape[1:], default=2) >= 2:
        dialled = "(" in number.written or (shape == (1, 3, 3, 2, 2) and "-" in number.written) or _is_valid(digits[1:])
        return dialled or number.follows(_PHONE_WORD)
    return len(shape) < 8 and number.follows(_PHONE_WORD)


def _is_valid(national: str) -> bool:
    """Whether ten digits are a phone number of Russia or Kazakhstan."""
    return phonenumbers.is_valid_number(phonenumbers.PhoneNumber(country_code=7, national_number=int(national)))


_KINDS: tuple[tuple[str, Callable[[_Number], bool]], ...] = (
    ("[карта]", _is_card),
    ("[номер]", _is_document),
    ("[телефон]", _is_phone),
    ("[паспорт]", _is_passport),
    ("[номер]", _is_long),
)


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _ean(digits: str) -> bool:
    """The check digit of a barcode (GS1 General Specifications, 7.9)."""
    return (sum(map(int, digits[-1::-2])) + 3 * sum(map(int, digits[-2::-2]))) % 10 == 0


def _inn(digits: str) -> bool:
    """Ten digits of a company, or twelve of a person (order of the Federal Tax Service ММВ-7-6/435@)."""
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    checked = {10: (9,), 12: (10, 11)}.get(len(digits), ())
    return bool(checked) and all(
        _weighted(digits[:place], weights[-place:]) % 11 % 10 == int(digits[place]) for place in checked
    )


def _snils(digits: str) -> bool:
    """Nine digits and two of their sum (regulation of the Pension Fund 192п)."""
    return len(digits) == 11 and _weighted(digits[:9], range(9, 0, -1)) % 101 % 100 == int(digits[9:])


def _ogrn(digits: str) -> bool:
    """13 digits of a company, 15 of a sole trader (order of the Ministry of Finance 165н)."""
    modulus = {13: 11, 15: 13}.get(len(digits))
    return modulus is not None and int(digits[:-1]) % modulus % 10 == int(digits[-1])


def _weighted(digits: str, weights: Iterable[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
