"""The teacher labels reviews: a distribution over the categories, then explanations where they are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from stages.common.arrays import BoolArray, FloatArray
from stages.labelling.calibration import batch_prior, calibrate, contextual_prior
from stages.labelling.config import Label, Prompt
from stages.labelling.explaining import Explained, explained, unexplained
from stages.labelling.prompting import Prompter
from stages.labelling.voting import average, margin, rotated
from stages.llm.backend import Choice, Refusal, Sampling
from stages.llm.cache import CachedModel
from stages.running.config import require
from stages.running.errors import BackendError


@dataclass(frozen=True)
class Teacher:
    """A language model with a labelling prompt over fixed labels; `seeds` (text, label) serve as examples in it.

    Raises:
        ConfigError: the prompt cannot be used, or not with these settings: `label.samples` where the model writes no
            line of reasoning, `label.orders` where the prompt lists the categories in an order of its own.
    """

    model: CachedModel
    labels: list[str]
    prompt: Prompt
    label: Label
    seeds: pd.DataFrame

    def __post_init__(self) -> None:
        listed = "labels" in self._prompter.template.variables or self.label.orders == 1
        require(listed, f"label.orders turns the list {{{{ labels }}}}, which {self.prompt.template} does not use")
        thinks = not self.label.samples or bool(self.prompt.reasoning_prefix)
        require(thinks, f"label.samples needs a prompt with a reasoning_prefix; prompt={self.prompt.name} has none")

    @cached_property
    def _prompter(self) -> Prompter:
        return Prompter(self.prompt, self.model.backend, self.seeds)

    def label_reviews(
        self, frame: pd.DataFrame, prior: FloatArray | None = None, *, explain: bool = True
    ) -> tuple[pd.DataFrame, FloatArray]:
        """Label the column `text`; return the frame with the answers' columns added, and the prior that was used.

        `explain=False` asks for no explanation whatever `label.explanations` says.
        Adds: label, confidence, probabilities, label_mass, reasoning, explanation, raw, failure ("" = parsed). A row
        that the model refuses has no label, its reason as failure, and nan for all numbers.
        """
        given = self.choices(frame["text"].to_list())
        refused = np.array([isinstance(choice, Refusal) for choice in given], dtype=bool)
        answered = frame[~refused]
        reviews, choices = answered["text"].to_list(), given_choices(given)
        uncalibrated = self.distributions(choices)
        if prior is None:
            prior = self.prior(uncalibrated)
        probabilities = calibrate(uncalibrated, prior, self.label.calibration_strength)
        wanted = self._wants_explanation(probabilities) & explain
        lines = [self._reasoning_line(choice) for choice in choices]
        answers = self._explained(reviews, lines, probabilities.argmax(axis=1).tolist(), wanted)
        labelled = answered.assign(
            label=[given.answer.label for given in answers],
            confidence=probabilities.max(axis=1),
            probabilities=list(probabilities),
            label_mass=[choice.mass for choice in choices],
            reasoning=[choice.reasoning for choice in choices],
            explanation=[given.answer.explanation for given in answers],
            raw=[line + given.raw for line, given in zip(lines, answers, strict=True)],
            failure=[given.answer.failure for given in answers],
        )
        if not refused.any():
            return labelled, prior
        nothing = dict.fromkeys(("confidence", "label_mass"), np.nan)
        silent = frame[refused].assign(
            **dict.fromkeys(("label", "reasoning", "explanation", "raw"), ""),
            **nothing,
            probabilities=list(np.full((int(refused.sum()), len(self.labels)), np.nan)),
            failure=[choice.reason for choice in given if isinstance(choice, Refusal)],
        )
        order = np.argsort(np.concatenate([np.flatnonzero(~refused), np.flatnonzero(refused)]))
        return pd.concat([labelled, silent[labelled.columns]]).iloc[order], prior

    def choices(self, reviews: list[str], description: str = "label") -> list[Choice | Refusal]:
        """The uncalibrated choice among the labels for each review.

        The category is constrained to the labels and comes before any explanation, so its probability is exact. It is
        averaged over `label.orders` orders of the categories that the prompt lists; where it is close (see
        `label.sample_margin`), over `label.samples` further lines of reasoning too.
        """
        orders = [rotated(self.labels, turn, self.label.orders) for turn in range(self.label.orders)]
        turns = [self._choose(reviews, description, order) for order in orders]
        choices = [_of_all_turns(given) for given in zip(*turns, strict=True)]
        return self._reconsidered(reviews, choices) if self.label.samples else choices

    def distributions(self, choices: list[Choice]) -> FloatArray:
        """Uncalibrated distributions (rows, labels)."""
        logprobs: FloatArray = np.array([choice.logprobs for choice in choices]).reshape(-1, len(self.labels))
        return np.exp(logprobs)

    def prior(self, probabilities: FloatArray) -> FloatArray:
        """The label prior (labels,) that `label.calibration` divides by; uniform for `none`.

        Raises:
            BackendError: no text without content could be answered.
        """
        if self.label.calibration == "contextual":
            given = self.choices(self.label.content_free, "content-free")
            answered = given_choices(given)
            if not answered:
                raise BackendError(f"no text of label.content_free got an answer: {_reason(given)}")
            return contextual_prior(self.distributions(answered))
        if self.label.calibration == "batch" and len(probabilities):
            return batch_prior(probabilities)
        return np.full(len(self.labels), 1 / len(self.labels))

    def _reconsidered(self, reviews: list[str], choices: list[Choice | Refusal]) -> list[Choice | Refusal]:
        """The choices, the close ones averaged with those after further lines of reasoning."""
        close = {
            index: choice
            for index, choice in enumerate(choices)
            if isinstance(choice, Choice) and margin(choice) < self.label.sample_margin
        }
        doubted = [reviews[index] for index in close]
        thoughts = [
            self._choose(doubted, "think again", self.labels, self.label.sample_temperature, seed)
            for seed in range(self.label.samples)
        ]
        further = dict(zip(close, zip(*thoughts, strict=True), strict=True))
        return [
            average([close[index], *given_choices(further[index])]) if index in further else choice
            for index, choice in enumerate(choices)
        ]

    def _choose(
        self, reviews: list[str], description: str, order: list[str], temperature: float = 0.0, seed: int = 0
    ) -> list[Choice | Refusal]:
        """Ask once, with the categories listed in `order`; the choices are among `labels` in their own order."""
        answers = [self.prompt.category_prefix + name for name in self.labels]
        prompts = [prompt + self.prompt.reasoning_prefix for prompt in self._prompter.render(reviews, order)]
        reasoning = None
        if self.prompt.reasoning_prefix:
            reasoning = Sampling(self.prompt.reasoning_tokens, temperature, stop=("\n",), seed=seed)
        return self.model.choose(prompts, answers, description, reasoning)

    def _reasoning_line(self, choice: Choice) -> str:
        """The line that stands between the prompt and the category."""
        return f"{self.prompt.reasoning_prefix} {choice.reasoning}\n" if self.prompt.reasoning_prefix else ""

    def _wants_explanation(self, probabilities: FloatArray) -> BoolArray:
        """Which rows (rows,) `label.explanations` has explained."""
        below = {"all": 2.0, "low_confidence": self.label.low_confidence, "none": 0.0}[self.label.explanations]
        wanted: BoolArray = probabilities.max(axis=1) < below
        return wanted

    def _explained(
        self, reviews: list[str], lines: Sequence[str], chosen: Sequence[int], wanted: BoolArray
    ) -> list[Explained]:
        """Each row's category as the teacher would write it, after its line of reasoning; explained where `wanted`."""
        names = [self.labels[index] for index in chosen]
        found = unexplained(self.prompt, self.labels, names)
        rows = np.flatnonzero(wanted).tolist()
        rendered = self._prompter.render([reviews[row] for row in rows], self.labels)
        prompts = [prompt + lines[row] for prompt, row in zip(rendered, rows, strict=True)]
        asked = [names[row] for row in rows]
        for row, given in zip(
            rows, explained(self.model, self.prompt, self.label, self.labels, prompts, asked), strict=True
        ):
            found[row] = given
        return found


def given_choices(choices: Iterable[Choice | Refusal]) -> list[Choice]:
    """Those that are no refusals."""
    return [choice for choice in choices if isinstance(choice, Choice)]


def _of_all_turns(given: Sequence[Choice | Refusal]) -> Choice | Refusal:
    """The mean of a review's choices; its refusal, if there is one among them."""
    answered = given_choices(given)
    if len(answered) < len(given):
        return next(choice for choice in given if isinstance(choice, Refusal))
    return average(answered) if len(answered) > 1 else answered[0]


def _reason(choices: Iterable[Choice | Refusal]) -> str:
    return next(choice.reason for choice in choices if isinstance(choice, Refusal))
