"""Filters of synthetic reviews: what a person would throw out, and what repeats a text that is there already.

A filter returns a boolean array (candidates,), true where a candidate fails.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymorphy3

from stages.common.arrays import FloatArray, Vectors
from stages.common.texts import letters
from stages.embedding.cosine import nearest_cosine
from stages.synthesis.config import Filters
from stages.synthesis.injection import injection
from stages.synthesis.patterns import read_patterns
from stages.synthesis.words import ngrams, words

Mask = npt.NDArray[np.bool_]

# What no language has in its reviews, and every model may write.
_MODEL_TALK = re.compile(
    "|".join(
        (
            # Labels of a prompt.
            r"\b(?:review|product|category|user|assistant|system)\s*(?:\d+\s*)?:",
            # Control tokens, mark-up, placeholders and code.
            r"<\|.{0,40}?\|>|\[/?inst\]|</?[a-z]\w*\b[^<>]*>|&[a-z]+;",
            r"\*\*|__|`|^#{1,6}\s|^[^\S\n]*[*•]\s|\]\(|https?://|www\.",
            r"\[[^\[\]]*\]|[{}]|=>|==|\\[nt]|\w\(\)",
            r"\b(?:def|import|return|function|const|var|select|print|console)\b\s*[a-z.\"'(*]",
        )
    ),
    re.IGNORECASE | re.MULTILINE,
)
_SAME_LETTER = re.compile(r"(\w)\1{9}")


@dataclass(frozen=True)
class Known:
    """Texts a candidate must not repeat, and words it may use though no dictionary has them.

    `originals`: the real rows of every split, gold rows and seeds; `synthetic`: rows accepted earlier; `shown`: the
    examples that stand in the generator's prompt itself; `labels`: the categories, which an injection names.
    `embeddings` (originals + synthetic, dimensions): unit rows of both, in that order.
    """

    originals: Sequence[str]
    synthetic: Sequence[str]
    embeddings: Vectors
    words: Collection[str] = ()
    shown: Sequence[str] = ()
    labels: Sequence[str] = ()


def apply_filters(
    candidates: pd.DataFrame,
    embeddings: Vectors,
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
        "script": lambda texts, _: script(texts, filters.script, filters.min_script_share),
        "assistant_talk": lambda texts, _: assistant_talk(texts, read_patterns(filters.assistant_talk)),
        "injection": lambda texts, _: injection(texts, read_patterns(filters.injection), known.labels),
        "length": lambda texts, _: length(texts, filters.min_chars, filters.max_chars),
        "repetition": lambda texts, _: repetition(texts),
        "unlikely": lambda _, rows: unlikely(logprobs[rows], min_mean_logprob),
        "unfaithful": lambda texts, rows: unfaithful(texts, [notes[row] for row in rows], filters.min_noted_share),
        "unknown_word": lambda texts, _: unknown_word(texts, known.words, filters.dictionary, filters.script),
        "duplicate": lambda texts, _: duplicate(texts, [*known.originals, *known.synthetic, *known.shown]),
        "copied": lambda texts, _: copied(texts, [*known.originals, *known.shown], filters.max_copied_words),
        "near_duplicate": lambda _, rows: near_duplicate(embeddings[rows], known.embeddings, filters.max_similarity),
    }
    for reason, fails in steps.items():
        open_rows = np.flatnonzero(reasons == "")
        failing = fails([all_texts[row] for row in open_rows], open_rows)
        reasons[open_rows[failing]] = reason
    return candidates.assign(reason=reasons)


def script(texts: Sequence[str], alphabet: str, min_share: float) -> Mask:
    """Fail text in another script than `alphabet`.

    A letter neither of it nor Latin, both in one word, broken bytes, or a share of its letters below `min_share`.
    """

    def fails(text: str) -> bool:
        scripts = [script_of(character) for character in text]
        letters = [found for found in scripts if found]
        own = letters.count(alphabet)
        foreign = len(letters) - sum(found in (alphabet, "latin") for found in letters)
        mixed = any({one, next_one} == {"latin", alphabet} and one != next_one for one, next_one in pairwise(scripts))
        # U+FFFD stands for half a character, cut off by a token limit.
        return foreign > 0 or mixed or "\ufffd" in text or own < max(1, min_share * len(letters))

    return _mask(fails(text) for text in texts)


@cache
def script_of(character: str) -> str:
    """The script of a letter, the first word of its Unicode name in lower case; "" for what is no letter."""
    return unicodedata.name(character, "unnamed").split()[0].lower() if character.isalpha() else ""


def assistant_talk(texts: Sequence[str], patterns: re.Pattern[str]) -> Mask:
    """Fail what a language model says about its task: `patterns` of the language, control tokens, mark-up, code."""
    return _mask(bool(patterns.search(text) or _MODEL_TALK.search(text)) for text in texts)


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


def unknown_word(texts: Sequence[str], known: Collection[str], language: str | None, alphabet: str) -> Mask:
    """Fail text with a word that the dictionary of `language` lacks and that no `known` word is a form of.

    A form shares all but the last letter, and at least five. Short words and those not all in `alphabet` pass.
    """
    if language is None:
        return np.zeros(len(texts), dtype=bool)
    stems = {word[:-1] for word in known}

    def fails(word: str) -> bool:
        if len(word) < 4 or word in known or any(script_of(character) != alphabet for character in word):
            return False
        borrowed = any(word[:size] in stems for size in range(5, len(word) + 1))
        return not borrowed and not _dictionary(language).word_is_known(word)

    return _mask(any(fails(word) for word in words(text)) for text in texts)


def duplicate(texts: Sequence[str], known: Sequence[str]) -> Mask:
    """Fail text that has the letters of a known one, or of an earlier one of `texts`."""
    seen = set(map(letters, known))
    failing = []
    for own in map(letters, texts):
        failing.append(own in seen)
        seen.add(own)
    return _mask(failing)


def copied(texts: Sequence[str], originals: Sequence[str], max_copied_words: int) -> Mask:
    """Fail text that shares more than `max_copied_words` consecutive words with an original."""
    size = max_copied_words + 1
    # Hashes of the runs, as the runs themselves would take some ten times the memory.
    known = {hash(run) for text in originals for run in ngrams(words(text), size)}
    return _mask(any(hash(run) in known for run in ngrams(words(text), size)) for text in texts)


def near_duplicate(embeddings: Vectors, known: Vectors, max_similarity: float) -> Mask:
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


def once_told(candidates: pd.DataFrame, told: Collection[str]) -> pd.DataFrame:
    """Return `candidates` (columns source, reason), of which the first accepted one of each source stays.

    The others get the reason "told_before", as do those whose source is among `told`. Several tellings of one text
    are what makes each step more alike than the one before it.
    """
    retells = (candidates["reason"] == "") & (candidates["source"] != "")
    again = retells & (candidates["source"].isin(list(told)) | candidates["source"].where(retells).duplicated())
    return candidates.assign(reason=candidates["reason"].where(~again, "told_before"))


@cache
def _dictionary(language: str) -> pymorphy3.MorphAnalyzer:
    return pymorphy3.MorphAnalyzer(lang=language)


def _mask(failing: Iterable[bool]) -> Mask:
    return np.fromiter(failing, dtype=bool)


def _copies_in_a_row(tokens: Sequence[str], size: int) -> int:
    """The most copies of one run of `size` tokens that follow each other directly."""
    longest = run = 0
    for index in range(size, len(tokens)):
        run = run + 1 if tokens[index] == tokens[index - size] else 0
        longest = max(longest, run)
    return longest // size + 1
