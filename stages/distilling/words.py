"""Words as tokens, whatever their endings: the vocabulary of a static encoder."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from stages.encoding.case import LOWER

PADDING, UNKNOWN, START = "[PAD]", "[UNK]", "[CLS]"
CONTINUED = "##"
WORD = re.compile(r"\w+")
# Of a longer word, what is left without so many letters at most stands for its other forms.
SHORTEST_STEM, LONGEST_ENDING = 4, 3


def words_of(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, in lower case."""
    return Counter(word for text in texts for word in WORD.findall(plain(text)))


def plain(text: str) -> str:
    """`text` as the tokenizer sees it: in lower case, and without the two dots that Russian may leave out."""
    return _NORMALIZER.normalize_str(text)


def own_words(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """The whole words that an encoder's tokenizer has, in the script of most letters of `texts`."""
    letters = Counter(letter for text in texts for letter in text if letter.isalpha())
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        scripts[_script(letter)] += count
    if not scripts:
        return []
    [(script, _)] = scripts.most_common(1)
    begun = (token[1:] for token in tokenizer.get_vocab() if token[:1] in "▁Ġ")
    found = {plain(word) for word in begun if len(word) > 2 and all(_script(letter) == script for letter in word)}
    return sorted(found)


def _script(letter: str) -> str:
    """LATIN, CYRILLIC and the like; empty for what has no name."""
    return unicodedata.name(letter, "").split(" ")[0] if letter.isalpha() else ""


class Vocabulary:
    """Tokens of `words`: themselves, their stems, and letters, which say nothing.

    A word that is not among them begins with the longest token that it can: a form that was never seen has the stem of
    those that were.
    """

    def __init__(self, words: Iterable[str]) -> None:
        """Number the tokens."""
        self.words = list(dict.fromkeys(words))
        self.stems = _stems(self.words)
        known = set(self.words)
        letters = _letters(self.words)
        silent = [PADDING, UNKNOWN, START, *(CONTINUED + letter for letter in letters)]
        silent += [letter for letter in letters if letter not in known]
        self.silent = len(silent)
        self.ids: Mapping[str, int] = {
            token: number for number, token in enumerate([*silent, *self.words, *self.stems])
        }

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Of `tokenizers`; every text has at least one token."""
        model: Any = models.WordPiece(
            dict(self.ids), unk_token=UNKNOWN, continuing_subword_prefix=CONTINUED, max_input_chars_per_word=100
        )
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = _NORMALIZER
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD.pattern), "removed", invert=True)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{START} $A", special_tokens=[(START, self.ids[START])]
        )
        return tokenizer


def _letters(words: Sequence[str]) -> list[str]:
    """What words are made of, and all other letters of their scripts: one that is missing would hide a whole word."""
    letters = {letter for word in words for letter in word}
    scripts = {_script(letter) for letter in letters} - {""}
    return sorted(letters | {letter for letter in map(chr, range(0x3000)) if _script(letter) in scripts})


def _stems(words: Sequence[str]) -> dict[str, list[str]]:
    """Beginnings of words that are no words themselves, and the words that they are cut from."""
    known = set(words)
    stems: defaultdict[str, list[str]] = defaultdict(list)
    for word in words:
        for ending in range(1, min(LONGEST_ENDING, len(word) - SHORTEST_STEM) + 1):
            if word[:-ending] not in known:
                stems[word[:-ending]].append(word)
    return dict(stems)


_NORMALIZER = normalizers.Sequence([normalizers.NFC(), LOWER])
