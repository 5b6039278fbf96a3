"""Explanations of categories that were chosen, asked for again where they cannot be parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stages.labelling.answers import Answer, parse_answer
from stages.labelling.config import Label, Prompt
from stages.llm.backend import Refusal, Sampling
from stages.llm.cache import CachedModel


@dataclass(frozen=True)
class Explained:
    """What the teacher wrote, category and all, and what was read in it."""

    raw: str
    answer: Answer


def unexplained(prompt: Prompt, labels: list[str], chosen: Sequence[str]) -> list[Explained]:
    """The categories `chosen`, without a word."""
    lines = [prompt.category_prefix + name for name in chosen]
    return [Explained(line, parse_answer(line, prompt, labels, needs_explanation=False)) for line in lines]


def explained(
    model: CachedModel,
    prompt: Prompt,
    settings: Label,
    labels: list[str],
    prompts: Sequence[str],
    chosen: Sequence[str],
) -> list[Explained]:
    """An explanation of each category `chosen` in answer to `prompts`.

    A malformed one is asked for again, warmer, up to `settings.retries` times. Where the model gives none at all, that
    is the answer's failure.
    """
    starts = [f"{prompt.category_prefix}{name}\n{prompt.explanation_prefix}" for name in chosen]
    found = unexplained(prompt, labels, chosen)
    open_rows = list(range(len(chosen)))
    for attempt in range(settings.retries + 1):
        if not open_rows:
            break
        sampling = Sampling(
            max_tokens=settings.explanation_tokens,
            temperature=settings.retry_temperature if attempt else 0.0,
            stop=("\n",),
            seed=attempt,
        )
        asked = [prompts[row] + starts[row] for row in open_rows]
        given = model.complete(asked, [sampling] * len(asked), "explain")
        for row, written in zip(open_rows, given, strict=True):
            if isinstance(written, Refusal):
                found[row] = Explained(starts[row], Answer("", "", f"no explanation: {written.reason}"))
            else:
                raw = starts[row] + written.text
                found[row] = Explained(raw, parse_answer(raw, prompt, labels, needs_explanation=True))
        open_rows = [
            row
            for row, written in zip(open_rows, given, strict=True)
            if found[row].answer.failure and not isinstance(written, Refusal)
        ]
    return found
