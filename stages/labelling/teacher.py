"""The teacher labels reviews: a distribution over the categories, then explanations where they are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np
import pandas as pd

from stages.common.config import Label, Prompt, require
from stages.common.errors import BackendError
from stages.common.schema import FloatArray
from stages.common.templates import PromptTemplate, load_template
from stages.labelling.answers import Answer, parse_answer
from stages.labelling.calibration import CONTENT_FREE, batch_prior, calibrate, contextual_prior
from stages.labelling.demonstrations import Demonstrations, Example
from stages.labelling.voting import average, margin, rotated
from stages.llm.backend import Choice, Sampling
from stages.llm.cache import CachedModel


@dataclass(frozen=True)
class Teacher:
    """A language model with a labelling prompt over fixed labels; `seeds` (text, label) serve as examples in it."""

    model: CachedModel
    labels: list[str]
    prompt: Prompt
    label: Label
    seeds: pd.DataFrame

    def choices(self, reviews: list[str], description: str = "label") -> list[Choice]:
        """The uncalibrated choice among the labels for each review.

        The category is constrained to the labels and comes before any explanation, so its probability is exact. It is
        averaged over `label.orders` orders of the categories that the prompt lists; where it is close (see
        `label.sample_margin`), over `label.samples` further lines of reasoning too.

        Raises:
            ConfigError: `label.samples` with a prompt that has the model write no line of reasoning, or `label.orders`
                with one that lists the categories in an order of its own.
        """
        settings = self.label
        listed = settings.orders == 1 or "labels" in self._template.variables
        require(listed, f"label.orders turns the list {{{{ labels }}}}, which {self.prompt.template} does not use")
        orders = [rotated(self.labels, turn, settings.orders) for turn in range(settings.orders)]
        turns = [self._choose(reviews, description, order) for order in orders]
        choices = [average(given) if len(given) > 1 else given[0] for given in zip(*turns, strict=True)]
        if settings.samples:
            thinks = bool(self.prompt.reasoning_prefix)
            require(thinks, f"label.samples needs a prompt with a reasoning_prefix; prompt={self.prompt.name} has none")
            close = [index for index, choice in enumerate(choices) if margin(choice) < settings.sample_margin]
            doubted = [reviews[index] for index in close]
            thoughts = [
                self._choose(doubted, "think again", self.labels, settings.sample_temperature, seed)
                for seed in range(settings.samples)
            ]
            for index, further in zip(close, zip(*thoughts, strict=True), strict=True):
                choices[index] = average([choices[index], *further])
        return choices

    def _choose(
        self, reviews: list[str], description: str, order: list[str], temperature: float = 0.0, seed: int = 0
    ) -> list[Choice]:
        """Ask once, with the categories listed in `order`; the choices are among `labels` in their own order."""
        answers = [self.prompt.category_prefix + name for name in self.labels]
        prompts = [prompt + self.prompt.reasoning_prefix for prompt in self._render(reviews, order)]
        reasoning = None
        if self.prompt.reasoning_prefix:
            reasoning = Sampling(self.prompt.reasoning_tokens, temperature, stop=("\n",), seed=seed)
        choices = self.model.choose(prompts, answers, description, reasoning)
        sums = np.array([np.exp(choice.logprobs).sum() for choice in choices])
        if not np.allclose(sums, 1, atol=1e-3):
            worst = float(np.abs(sums - 1).max())
            raise BackendError(f"the backend's label probabilities do not sum to 1 (off by {worst:.3g})")
        return choices

    def distributions(self, choices: list[Choice]) -> FloatArray:
        """Uncalibrated distributions (rows, labels)."""
        logprobs: FloatArray = np.array([choice.logprobs for choice in choices]).reshape(-1, len(self.labels))
        return np.exp(logprobs)

    def prior(self, probabilities: FloatArray) -> FloatArray:
        """The label prior (labels,) that `label.calibration` divides by; uniform for `none`."""
        if self.label.calibration == "contextual":
            return contextual_prior(self.distributions(self.choices(list(CONTENT_FREE), "content-free")))
        if self.label.calibration == "batch":
            return batch_prior(probabilities)
        return np.full(len(self.labels), 1 / len(self.labels))

    def label_reviews(
        self, frame: pd.DataFrame, prior: FloatArray | None = None, *, explain: bool = True
    ) -> tuple[pd.DataFrame, FloatArray]:
        """Label the column `text`; return the frame with the answers' columns added, and the prior that was used.

        `explain=False` asks for no explanation whatever `label.explanations` says.
        Adds: label, confidence, probabilities, label_mass, reasoning, explanation, raw, failure ("" = parsed).
        """
        reviews = frame["text"].to_list()
        choices = self.choices(reviews)
        raw_probabilities = self.distributions(choices)
        if prior is None:
            prior = self.prior(raw_probabilities)
        probabilities = calibrate(raw_probabilities, prior, self.label.calibration_strength)
        chosen = [self.labels[index] for index in probabilities.argmax(axis=1)]
        confidence = probabilities.max(axis=1)
        below = {"all": 2.0, "low_confidence": self.label.low_confidence, "none": 0.0}[self.label.explanations]
        lines = [
            f"{self.prompt.reasoning_prefix} {choice.reasoning}\n" if self.prompt.reasoning_prefix else ""
            for choice in choices
        ]
        answers = self._answers(reviews, lines, chosen, [explain and value < below for value in confidence])
        labelled = frame.assign(
            label=[answer.label for _, answer in answers],
            confidence=confidence,
            probabilities=list(probabilities),
            label_mass=[choice.mass for choice in choices],
            reasoning=[choice.reasoning for choice in choices],
            explanation=[answer.explanation for _, answer in answers],
            raw=[line + raw for line, (raw, _) in zip(lines, answers, strict=True)],
            failure=[answer.failure for _, answer in answers],
        )
        return labelled, prior

    @cached_property
    def _template(self) -> PromptTemplate:
        template, path = load_template(self.prompt.template), self.prompt.template
        require("review" in template.variables, f"{path} never uses {{{{ review }}}}; the teacher would see no review")
        return template

    @cached_property
    def _demonstrations(self) -> Demonstrations:
        return Demonstrations.of(self.seeds)

    def _render(self, reviews: list[str], order: list[str]) -> list[str]:
        backend = self.model.backend
        shown: Iterable[list[Example]] = repeat([], len(reviews))
        if self.prompt.demonstrations:
            shown = self._demonstrations.nearest(reviews, self.prompt.demonstrations)
        prompts = [
            self._template.render(labels=order, review=backend.neutralise(review), examples=examples)
            for review, examples in zip(reviews, shown, strict=True)
        ]
        if not self.prompt.chat:
            return [prompt + "\n" for prompt in prompts]
        return [backend.render(prompt, thinking=self.prompt.thinking) for prompt in prompts]

    def _answers(
        self, reviews: list[str], before: list[str], chosen: list[str], explain: list[bool]
    ) -> list[tuple[str, Answer]]:
        """Raw text after the line `before`, and parsed answer, of each row.

        A malformed answer is asked again, warmer, up to `retries` times.
        """
        lines = [self.prompt.category_prefix + name for name in chosen]
        answers = [(line, parse_answer(line, self.prompt, self.labels, needs_explanation=False)) for line in lines]
        open_rows = [index for index, wanted in enumerate(explain) if wanted]
        rendered = self._render([reviews[index] for index in open_rows], self.labels)
        prompts = [prompt + before[index] for prompt, index in zip(rendered, open_rows, strict=True)]
        for attempt in range(self.label.retries + 1):
            if not open_rows:
                break
            sampling = Sampling(
                max_tokens=self.label.explanation_tokens,
                temperature=self.label.retry_temperature if attempt else 0.0,
                stop=("\n",),
                seed=attempt,
            )
            starts = [f"{lines[index]}\n{self.prompt.explanation_prefix}" for index in open_rows]
            texts = self.model.complete(
                [prompt + start for prompt, start in zip(prompts, starts, strict=True)],
                [sampling] * len(open_rows),
                "explain",
            )
            failed = []
            for position, (index, start, written) in enumerate(zip(open_rows, starts, texts, strict=True)):
                raw = start + written.text
                answers[index] = (raw, parse_answer(raw, self.prompt, self.labels, needs_explanation=True))
                if answers[index][1].failure:
                    failed.append(position)
            open_rows, prompts = [open_rows[i] for i in failed], [prompts[i] for i in failed]
        return answers
