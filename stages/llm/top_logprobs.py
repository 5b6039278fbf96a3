"""A distribution over given answers from the likeliest tokens that a server tells at each place of the one it wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What an answer gets that is not among the likeliest tokens, at least: no logarithm of nothing.
LEAST = 1e-9


@dataclass(frozen=True)
class Place:
    """A token that was written, as bytes, and the likeliest ones there with their log-probabilities."""

    written: bytes
    likely: Mapping[bytes, float]


def places(content: Sequence[Mapping[str, Any]]) -> list[Place]:
    """`logprobs.content` of a chat completion."""
    return [
        Place(_bytes(token), {_bytes(other): float(other["logprob"]) for other in [token, *token["top_logprobs"]]})
        for token in content
    ]


def distribution(tokens: Sequence[Place], answers: Sequence[str], chosen: int) -> tuple[list[float], float]:
    """Log-probabilities of `answers`, which sum to 1 after exp, and how much all of them had together, 0…1.

    The answer `chosen` was written. Where another one parts from it, the tokens that go on towards that one say how
    likely it was; several answers that begin with the same token share it evenly, since nobody wrote on from there.
    One whose token is not told gets what the least likely told one has, or an even part of what is left, whichever is
    less.

    Raises:
        ValueError: the tokens do not spell the answer.
    """
    text = b"".join(place.written for place in tokens)
    forms = [[_spelt(answer, ascii_only) for answer in answers] for ascii_only in (False, True)]
    form = next((form for form in forms if form[chosen] in text), None)
    if form is None:
        raise ValueError(f"the tokens told do not spell {answers[chosen]!r}")
    start = text.rindex(form[chosen])
    # What closes the answer tells it apart from one that it begins.
    end = start + len(form[chosen])
    spelt = [text[:start] + answer + text[end : end + 1] for answer in form]
    shares = [0.0] * len(answers)
    left, alive = 1.0, list(range(len(answers)))
    position, rest = 0, None
    for place in tokens:
        towards = {
            token: found
            for token in place.likely
            if (found := [index for index in alive if _goes_on(spelt[index][position:], token)])
        }
        if position + len(place.written) > start and any(len(found) < len(alive) for found in towards.values()):
            for token, found in towards.items():
                if token != place.written and len(found) < len(alive):
                    for index in found:
                        shares[index] += left * math.exp(place.likely[token]) / len(found)
            if rest is None:
                told = sum(map(math.exp, place.likely.values()))
                rest = min(math.exp(min(place.likely.values())), max(0.0, 1 - told) / len(answers))
            left *= math.exp(place.likely[place.written])
            alive = towards[place.written]
        position += len(place.written)
    for index in alive:
        shares[index] += left / len(alive)
    mass = min(1.0, sum(shares))
    filled = [share or max(rest or 0.0, LEAST) for share in shares]
    total = math.log(sum(filled))
    return [math.log(share) - total for share in filled], mass


def voted(votes: Sequence[int], count: int) -> list[float]:
    """Log-probabilities of `count` answers from the indices that were drawn.

    Each answer has a share of one further vote (Perks 1947), so that none is impossible: of nine answers, a single vote
    makes 0.56, five equal ones 0.85.
    """
    return [math.log((votes.count(index) + 1 / count) / (len(votes) + 1)) for index in range(count)]


def _goes_on(rest: bytes, token: bytes) -> bool:
    return bool(token) and (rest.startswith(token) or (bool(rest) and token.startswith(rest)))


def _bytes(token: Mapping[str, Any]) -> bytes:
    """A part of a letter has no text of its own."""
    return bytes(token["bytes"]) if token.get("bytes") else str(token["token"]).encode()


def _spelt(answer: str, ascii_only: bool) -> bytes:
    """As it stands in JSON."""
    return json.dumps(answer, ensure_ascii=ascii_only)[1:-1].encode()
