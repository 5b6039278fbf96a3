"""A review as the prompt that asks for its category."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import pandas as pd

from stages.common.templates import PromptTemplate, load_template
from stages.labelling.config import Prompt
from stages.labelling.demonstrations import Demonstrations, Example
from stages.llm.backend import Backend
from stages.running.config import require

# Reviews whose prompts have in common what all prompts have.
UNLIKE = ("а", "Z", "5")


@dataclass(frozen=True)
class Prompter:
    """A labelling prompt for one language model; `seeds` (text, label) serve as examples in it.

    Raises:
        ConfigError: the prompt's template is missing or malformed, or shows no review.
    """

    prompt: Prompt
    backend: Backend
    seeds: pd.DataFrame

    def __post_init__(self) -> None:
        shown = "review" in self.template.variables
        require(shown, f"{self.prompt.template} never uses {{{{ review }}}}; the teacher would see no review")

    @cached_property
    def template(self) -> PromptTemplate:
        """The prompt's text."""
        return load_template(self.prompt.template, self.backend.neutralise)

    @cached_property
    def _demonstrations(self) -> Demonstrations:
        return Demonstrations.of(self.seeds)

    def render(self, reviews: Sequence[str], labels: Sequence[str]) -> list[str]:
        """The prompt of each review, with the categories listed in the order of `labels`."""
        filler = self.backend.filler(self._rendered(UNLIKE, labels))
        return [filler + prompt for prompt in self._rendered(reviews, labels)]

    def _rendered(self, reviews: Sequence[str], labels: Sequence[str]) -> list[str]:
        shown: Iterable[list[Example]] = repeat([], len(reviews))
        if self.prompt.demonstrations:
            shown = self._demonstrations.nearest(reviews, self.prompt.demonstrations)
        prompts = [
            self.template.render(labels=labels, review=review, examples=examples)
            for review, examples in zip(reviews, shown, strict=True)
        ]
        if not self.prompt.chat:
            return [prompt + "\n" for prompt in prompts]
        return [self.backend.render(prompt, thinking=self.prompt.thinking) for prompt in prompts]
