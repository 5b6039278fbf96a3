"""Filters of synthetic reviews: what a person would throw out, and what repeats a text that is there already.

A filter returns a boolean array (candidates,), true where a candidate fails.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymorphy3

from stages.analysis.embeddings import Embeddings, nearest_cosine
from stages.common.config import Filters
from stages.common.schema import FloatArray
from stages.synthesis.words import ngrams, words

Mask = npt.NDArray[np.bool_]

# In the order in which they are tried; the last one by `relabelled`.
REASONS = (
    "script",
    "assistant_talk",
    "length",
    "repetition",
    "unlikely",
    "unfaithful",
    "unknown_word",
    "duplicate",
    "copied",
    "near_duplicate",
    "another_category",
)

_ASSISTANT_TALK = re.compile(
    "|".join(
        (
            # Answers to a request instead of a review.
            r"^\W*(?:конечно|хорошо|разумеется|отлично)?\W*вот\s+(?:\w+\s+){0,3}(?:отзыв|вариант|пример|текст|перефраз)",
            r"^\W*(?:конечно|разумеется)\W+вот\b",
            r"языков\w+ модел|\bкак (?:ии|ai)\b|искусственн\w+ интеллект|нейросет|\bчат-?бот|виртуальн\w+ помощник",
            r"не могу (?:помочь|сгенерировать|выполнить (?:эту?|ваш)|предоставить|создать)",
            r"надеюсь, (?:что )?это (?:поможет|подойд)|если (?:у вас|вам) (?:есть|нужн\w+|возникн\w+) вопрос",
            r"перефразирова|\b(?:данн|исходн|синтетическ)\w+ отзыв|сгенерированн",
            # Labels of a prompt, those in conf/generate/ among them.
            r"\b(?:отзыв|товар|о чём|первый|второй|гладко|вживую|категория|пояснение|задание|ответ|стиль)\s*\d*\s*:",
            r"\b(?:review|product|category|user|assistant|system)\s*\d*\s*:",
            # Control tokens, mark-up, placeholders and code.
            r"<\|.{0,40}?\|>|\[/?inst\]|</?[a-z]\w*\b[^<>]*>|&[a-z]+;",
            r"\*\*|__|`|^#+\s|^\s*[*•]\s|\]\(|https?://|www\.",
            r"\[[^\]]*\]|[{}]|=>|==|\\[nt]|\w\(\)",
            r"\b(?:def|import|return|function|const|var|select|print|console)\b\s*[a-z.\"'(*]",
        )
    ),
    re.IGNORECASE | re.MULTILINE,
)
_MIXED_WORD = re.compile("[a-z][а-яё]|[а-яё][a-z]", re.IGNORECASE)
_SAME_LETTER = re.compile(r"(\w)\1{9}")


@dataclass(frozen=True)
class Known:
    """Texts a candidate must not repeat, and words it may use though no dictionary has them.

    `originals`: the real rows of every split, gold rows and seeds; `synthetic`: rows accepted earlier; `shown`: the
    examples that stand in the generator's prompt itself.
    `embeddings` (originals + synthetic, dimensions): unit rows of both, in that order.
    """

    originals: Sequence[str]
    synthetic: Sequence[str]
    embeddings: Embeddings
    words: Collection[str] = ()
    shown: Sequence[str] = ()


def apply_filters(
    candidates: pd.DataFrame,
    embeddings: Embeddings,
    known: Known,
    filters: Filters,
    min_mean_logprob: float | None = None,
) -> pd.DataFrame:
    """Return `candidates` with the column reason: the first filter that fails, "" for accepted.

    `candidates` have text, mean_logprob and attributes (JSON, notes among them); `embeddings` (candidates, dimensions)
    are unit rows. Candidates that failed one filter are no longer there for the next, so that of two equal ones the
    better stays.
    """
    all_texts, logprobs = candidates["text"].to_list(), candidates["mean_logprob"].to_numpy(dtype=float)
    notes = [json.loads(attributes).get("notes", "") for attributes in candidates["attributes"]]
    reasons = np.full(len(all_texts), "", dtype=object)
    steps: dict[str, Callable[[list[str], npt.NDArray[np.intp]], Mask]] = {
        "script": lambda texts, _: script(texts, filters.min_cyrillic_share),
        "assistant_talk": lambda texts, _: assistant_talk(texts),
        "length": lambda texts, _: length(texts, filters.min_chars, filters.max_chars),
        "repetition": lambda texts, _: repetition(texts),
        "unlikely": lambda _, rows: unlikely(logprobs[rows], min_mean_logprob),
        "unfaithful": lambda texts, rows: unfaithful(texts, [notes[row] for row in rows], filters.min_noted_share),
        "unknown_word": lambda texts, _: unknown_word(texts, known.words, filters.dictionary),
        "duplicate": lambda texts, _: duplicate(texts, [*known.originals, *known.synthetic, *known.shown]),
        "copied": lambda texts, _: copied(texts, [*known.originals, *known.shown], filters.max_copied_words),
        "near_duplicate": lambda _, rows: near_duplicate(embeddings[rows], known.embeddings, filters.max_similarity),
    }
    for reason, fails in steps.items():
        open_rows = np.flatnonzero(reasons == "")
        failing = fails([all_texts[row] for row in open_rows], open_rows)
        reasons[open_rows[failing]] = reason
    return candidates.assign(reason=reasons)


def count_reasons(reasons: Sequence[str]) -> dict[str, int]:
    """How many candidates were accepted, and how many failed by each reason, with zeros."""
    counts = Counter(reasons)
    return {"accepted": counts[""], **{reason: counts[reason] for reason in REASONS}}


def script(texts: Sequence[str], min_cyrillic_share: float) -> Mask:
    """Fail text in another script.

    A letter neither Cyrillic nor Latin, both in one word, broken bytes, or too few Cyrillic letters.
    """

    def fails(text: str) -> bool:
        letters = [character for character in text if character.isalpha()]
        cyrillic = sum("\u0400" <= character <= "\u04ff" for character in letters)
        # Latin letters end at U+024F; U+FFFD stands for half a character, cut off by a token limit.
        foreign = len(letters) - cyrillic - sum(character < "\u0250" for character in letters)
        mixed = _MIXED_WORD.search(text) is not None
        return foreign > 0 or mixed or "\ufffd" in text or cyrillic < max(1, min_cyrillic_share * len(letters))

    return _mask(fails(text) for text in texts)


def assistant_talk(texts: Sequence[str]) -> Mask:
    """Fail what a language model says about its task: prompt labels, refusals, control tokens, mark-up, code."""
    return _mask(_ASSISTANT_TALK.search(text) is not None for text in texts)


def length(texts: Sequence[str], min_chars: int, max_chars: int) -> Mask:
    """Fail text outside `min_chars` … `max_chars` characters."""
    return _mask(not min_chars <= len(text.strip()) <= max_chars for text in texts)


def repetition(texts: Sequence[str], longest_clause: int = 8) -> Mask:
    """Fail loops.

    A word four times in a row, a clause of up to `longest_clause` words three times in a row, a word of four or more
    letters for over a third of the text, over 0.3 of the word triples repeated, or a letter ten times in a row.
    """

    def fails(text: str) -> bool:
        tokens = words(text)
        triples = ngrams(tokens, 3)
        most_used = max(Counter(token for token in tokens if len(token) > 3).values(), default=0)
        return (
            most_used > max(3, len(tokens) / 3)
            or len(triples) - len(set(triples)) > 0.3 * len(triples)
            or _copies_in_a_row(tokens, 1) >= 4
            or any(_copies_in_a_row(tokens, size) >= 3 for size in range(2, longest_clause + 1))
            or _SAME_LETTER.search(text) is not None
        )

    return _mask(fails(text) for text in texts)


def unlikely(mean_logprobs: FloatArray, least: float | None) -> Mask:
    """Fail text that its own writer finds improbable, in nats a token: a small model rambles where it is unsure.

    Choosing by likelihood what was sampled for variety is "sample and rank" (Adiwardana et al. 2020, arXiv 2001.09977,
    under "Decoding"). None for no limit.
    """
    return np.zeros(len(mean_logprobs), dtype=bool) if least is None else mean_logprobs < least


def unfaithful(texts: Sequence[str], notes: Sequence[str], min_noted_share: float) -> Mask:
    """Fail text that has less than `min_noted_share` (0…1) of the words of its notes, in the very form of the notes.

    What a small model inflects, it mostly breaks: of "ноги не устают" it makes shoes that help the legs tire.
    """

    def fails(text: str, note: str) -> bool:
        noted, used = set(words(note)), set(words(text))
        return len(noted & used) < min_noted_share * len(noted)

    return _mask(fails(text, note) for text, note in zip(texts, notes, strict=True))


def unknown_word(texts: Sequence[str], known: Collection[str], language: str | None) -> Mask:
    """Fail text with a word that the dictionary of `language` lacks and that no `known` word is a form of.

    A form shares all but the last letter, and at least five. Short words and those in other letters pass.
    """
    if language is None:
        return np.zeros(len(texts), dtype=bool)
    stems = {word[:-1] for word in known}

    def fails(word: str) -> bool:
        if len(word) < 4 or not re.fullmatch("[а-яёіїєґ]+", word) or word in known:
            return False
        borrowed = any(word[:size] in stems for size in range(5, len(word) + 1))
        return not borrowed and not _dictionary(language).word_is_known(word)

    return _mask(any(fails(word) for word in words(text)) for text in texts)


def duplicate(texts: Sequence[str], known: Sequence[str]) -> Mask:
    """Fail text that equals a known one, or an earlier one of `texts`, but for case and punctuation."""
    seen = {_plain(text) for text in known}
    failing = []
    for plain in map(_plain, texts):
        failing.append(plain in seen)
        seen.add(plain)
    return _mask(failing)


def copied(texts: Sequence[str], originals: Sequence[str], max_copied_words: int) -> Mask:
    """Fail text that shares more than `max_copied_words` consecutive words with an original."""
    size = max_copied_words + 1
    # Hashes of the runs, as the runs themselves would take some ten times the memory.
    known = {hash(run) for text in originals for run in ngrams(words(text), size)}
    return _mask(any(hash(run) in known for run in ngrams(words(text), size)) for text in texts)


def near_duplicate(embeddings: Embeddings, known: Embeddings, max_similarity: float) -> Mask:
    """Fail rows whose cosine to a known row, or to an earlier row that did not fail, exceeds `max_similarity`."""
    failing = nearest_cosine(embeddings, known) > max_similarity
    kept = np.empty_like(embeddings)
    count = 0
    for index in np.flatnonzero(~failing):
        failing[index] = (kept[:count] @ embeddings[index]).max(initial=-1) > max_similarity
        if not failing[index]:
            kept[count] = embeddings[index]
            count += 1
    return failing


def relabelled(
    candidates: pd.DataFrame,
    read_as: Iterable[str],
    confidence: Iterable[float],
    rare: Collection[str],
    filters: Filters,
) -> pd.DataFrame:
    """Return `candidates` (columns label, reason) after they were read without knowing what was asked for.

    Adds the columns intended (the label asked for) and read_as (the label that the reader saw).
    Accepted rows that were read as what they were meant to be stay. For the others `filters.relabel_policy` decides.
    drop: reason "another_category". relabel: the reader's label if it is one of `rare` and confidence reaches
    `filters.relabel_confidence`, else dropped (re-labelling beats dropping: Chung et al., ACL 2023). keep: no change.
    """
    reader = pd.Series(list(read_as), index=candidates.index, dtype=object)
    differs = (candidates["reason"] == "") & (reader != candidates["label"])
    sure = (pd.Series(list(confidence), index=candidates.index) >= filters.relabel_confidence) & reader.isin(list(rare))
    takes = differs & sure & (filters.relabel_policy == "relabel")
    drops = differs & ~takes & (filters.relabel_policy != "keep")
    return candidates.assign(
        intended=candidates["label"],
        read_as=reader,
        label=candidates["label"].where(~takes, reader),
        reason=candidates["reason"].where(~drops, "another_category"),
    )


@cache
def _dictionary(language: str) -> pymorphy3.MorphAnalyzer:
    return pymorphy3.MorphAnalyzer(lang=language)


def _mask(failing: Iterable[bool]) -> Mask:
    return np.fromiter(failing, dtype=bool)


def _plain(text: str) -> str:
    return " ".join(words(text))


def _copies_in_a_row(tokens: Sequence[str], size: int) -> int:
    """The most copies of one run of `size` tokens that follow each other directly."""
    longest = run = 0
    for index in range(size, len(tokens)):
        run = run + 1 if tokens[index] == tokens[index - size] else 0
        longest = max(longest, run)
    return longest // size + 1
