"""Parse the teacher's strict two-line answer."""

from __future__ import annotations

from dataclasses import dataclass

from stages.labelling.config import Prompt


@dataclass(frozen=True)
class Answer:
    """A parsed answer, or the reason why it could not be parsed (`label` is then empty)."""

    label: str
    explanation: str
    failure: str = ""


def parse_answer(raw: str, prompt: Prompt, labels: list[str], *, needs_explanation: bool) -> Answer:
    """Parse `КАТЕГОРИЯ: …` on one line and, where asked for, `ПОЯСНЕНИЕ: …` on the next.

    The category must be exactly one of `labels`; nothing is guessed from an answer that is not.
    """
    first, _, rest = raw.strip().partition("\n")
    mark = prompt.category_prefix.strip()
    if not first.startswith(mark):
        return Answer("", "", f"no line {mark}")
    label = first.removeprefix(mark).strip()
    if label not in labels:
        return Answer("", "", f"unknown category {label[:40]!r}")
    if not needs_explanation:
        return Answer(label, "")
    mark = prompt.explanation_prefix.strip()
    explanation = rest.strip()
    if not explanation.startswith(mark):
        return Answer("", "", f"no line {mark}")
    explanation = explanation.removeprefix(mark).strip()
    if not any(character.isalpha() for character in explanation):
        return Answer("", "", "empty explanation")
    return Answer(label, " ".join(explanation.split()))
