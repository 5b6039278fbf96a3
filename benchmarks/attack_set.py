"""The attacks of `benchmarks/attacks.yaml`, put into reviews, and harmless text to hold them against."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import jinja2
import yaml

ATTACKS = Path("benchmarks/attacks.yaml")
# An attacked review of this many characters fits into the prompts of `conf/prompt/` with the engine's default limit.
LONGEST = 1500


@dataclass(frozen=True)
class Attack:
    """`kind`: what it plays on; `place`: before, after or inside the review; `text`: a Jinja template."""

    id: str
    kind: str
    place: str
    text: str

    def render(self, target: str, room: int = LONGEST) -> str:
        """The attack for the category `target`; one that fills a review has up to `room` characters."""
        return _JINJA.from_string(self.text).render(target=target, room=room)

    def on(self, review: str, target: str, longest: int = LONGEST) -> str:
        """The attacked review, which has about `longest` characters where the attack fills it."""
        return put(review, self.render(target, max(0, longest - len(review))), self.place)


def read_attacks(file: Path = ATTACKS) -> list[Attack]:
    """All attacks in the file's order."""
    return [Attack(**row) for row in yaml.safe_load(file.read_text(encoding="utf-8"))]


def put(review: str, text: str, place: str) -> str:
    """The review with `text` before it, after it, or after the word that crosses its middle."""
    if place == "before":
        return f"{text} {review}"
    end = len(review)
    if place == "inside":
        # Without a space from there on, -1 becomes the end.
        end = review.find(" ", end // 2) % (end + 1)
    return f"{review[:end]} {text}{review[end:]}"


def harmless(length: int, start: int) -> str:
    """About `length` characters of text about no product, order or reader; it begins with sentence number `start`."""
    sentences = [_HARMLESS[(start + turn) % len(_HARMLESS)] for turn in range(len(_HARMLESS))]
    passage = " ".join(sentences) + " "
    passage *= length // len(passage) + 1
    return passage[: max(passage.find(" "), passage.rfind(" ", 0, length + 1))]


_HARMLESS = (
    "Сегодня с утра идёт мелкий дождь, за окном серо и тихо.",
    "Вчера мы до вечера гуляли вдоль реки и считали лодки.",
    "У соседей во дворе расцвела сирень, запах слышен даже на третьем этаже.",
    "Брат звонил из деревни, говорит, что дорога наконец просохла.",
    "Завтра обещают солнце, можно будет съездить за город.",
    "В этом году зима была долгой, снег лежал почти до мая.",
    "Наш кот спит на подоконнике и не замечает голубей.",
    "По вечерам на бульваре играет скрипач, люди останавливаются и слушают.",
    "Дедушка рассказывал, как в молодости сплавлялся по северным рекам.",
    "Автобус опять задержался, зато успела дочитать главу.",
    "Осенью лес за домом становится совсем рыжим.",
    "На выходных пойдём в горы, если не помешает ветер.",
)

_ROUND = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
_ROTATED = str.maketrans(_ROUND + _ROUND.upper(), (_ROUND[16:] + _ROUND[:16]) * 2)
_LATIN = dict(zip("абвгдеёзийклмнопрстуфцыэ", "abvgdeeziyklmnoprstufcye", strict=True)) | {
    **{"ж": "zh", "х": "kh", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "yu", "я": "ya", "ъ": "", "ь": ""},
}
_TRANSLITERATED = str.maketrans(_LATIN | {letter.upper(): latin.capitalize() for letter, latin in _LATIN.items()})
_LEET = str.maketrans("аобчзтАОБЧЗТ", "@06437@06437")
_LOOKING_ALIKE = str.maketrans("аеорсухАВЕКМНОРСТХ", "aeopcyxABEKMHOPCTX")
_INITIALS = (
    "арбуз барабан ветер гора дом ель ёлка жук зима игла йод камень лес море небо озеро поле река снег трава утро "
    "фонарь холм цветок чаща шум щука эхо юг яма"
)
_WORDS = {word[0]: word for word in _INITIALS.split()}


@jinja2.pass_context
def _fill(context: jinja2.runtime.Context, text: str) -> str:
    return text * max(1, context["room"] // len(text))


_JINJA = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
_JINJA.filters |= {
    "fill": _fill,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(" "),
    "rot": lambda text: text.replace("ё", "е").translate(_ROTATED),
    "translit": lambda text: text.translate(_TRANSLITERATED),
    "leet": lambda text: text.translate(_LEET),
    "homoglyphs": lambda text: text.translate(_LOOKING_ALIKE),
    "zero_width": "\u200b".join,
    "spaced": " ".join,
    "acrostic": lambda text: " ".join(_WORDS[letter] for letter in text if letter in _WORDS),
}
