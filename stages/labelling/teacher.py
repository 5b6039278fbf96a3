"""The teacher labels reviews: a distribution over the categories, then explanations where they are wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.common.config import Label, Prompt
from stages.common.errors import BackendError
from stages.common.schema import FloatArray
from stages.labelling.answers import Answer, parse_answer
from stages.labelling.calibration import CONTENT_FREE, batch_prior, calibrate, contextual_prior
from stages.labelling.prompting import load_template, render_prompt
from stages.llm.backend import Sampling
from stages.llm.cache import CachedModel


@dataclass(frozen=True)
class Teacher:
    """A language model with a labelling prompt over fixed labels."""

    model: CachedModel
    labels: list[str]
    prompt: Prompt
    label: Label

    def distributions(self, reviews: list[str], description: str = "label") -> tuple[FloatArray, FloatArray]:
        """Uncalibrated distributions (rows, labels), and the mass (rows,) that the teacher gave to any label at all.

        The category is constrained to the labels and comes before any explanation, so its probability is exact.
        """
        answers = [self.prompt.category_prefix + name for name in self.labels]
        raw = np.array(self.model.choose(self._render(reviews), answers, description)).reshape(-1, len(answers) + 1)
        probabilities, mass = np.exp(raw[:, :-1]), raw[:, -1]
        if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
            worst = float(np.abs(probabilities.sum(axis=1) - 1).max())
            raise BackendError(f"the backend's label probabilities do not sum to 1 (off by {worst:.3g})")
        return probabilities, mass

    def prior(self, probabilities: FloatArray) -> FloatArray:
        """The label prior (labels,) that `label.calibration` divides by; uniform for `none`."""
        if self.label.calibration == "contextual":
            return contextual_prior(self.distributions(list(CONTENT_FREE), "content-free")[0])
        if self.label.calibration == "batch":
            return batch_prior(probabilities)
        return np.full(len(self.labels), 1 / len(self.labels))

    def label_reviews(
        self, frame: pd.DataFrame, prior: FloatArray | None = None, *, explain: bool = True
    ) -> tuple[pd.DataFrame, FloatArray]:
        """Label the column `text`; return the frame with the answers' columns added, and the prior that was used.

        `explain=False` asks for no explanation whatever `label.explanations` says.
        Adds: label, confidence, probabilities, label_mass, explanation, raw, failure ("" = parsed).
        """
        reviews = frame["text"].to_list()
        raw_probabilities, mass = self.distributions(reviews)
        if prior is None:
            prior = self.prior(raw_probabilities)
        probabilities = calibrate(raw_probabilities, prior, self.label.calibration_strength)
        chosen = [self.labels[index] for index in probabilities.argmax(axis=1)]
        confidence = probabilities.max(axis=1)
        below = {"all": 2.0, "low_confidence": self.label.low_confidence, "none": 0.0}[self.label.explanations]
        answers = self._answers(reviews, chosen, [explain and value < below for value in confidence])
        labelled = frame.assign(
            label=[answer.label for _, answer in answers],
            confidence=confidence,
            probabilities=list(probabilities),
            label_mass=mass,
            explanation=[answer.explanation for _, answer in answers],
            raw=[raw for raw, _ in answers],
            failure=[answer.failure for _, answer in answers],
        )
        return labelled, prior

    def _render(self, reviews: list[str]) -> list[str]:
        template, backend = load_template(self.prompt.template), self.model.backend
        prompts = [render_prompt(template, self.labels, backend.neutralise(review)) for review in reviews]
        if not self.prompt.chat:
            return [prompt + "\n" for prompt in prompts]
        return [backend.render(prompt, thinking=self.prompt.thinking) for prompt in prompts]

    def _answers(self, reviews: list[str], chosen: list[str], explain: list[bool]) -> list[tuple[str, Answer]]:
        """Raw text and parsed answer of each row; a malformed one is asked again, warmer, up to `retries` times."""
        lines = [self.prompt.category_prefix + name for name in chosen]
        answers = [(line, parse_answer(line, self.prompt, self.labels, needs_explanation=False)) for line in lines]
        open_rows = [index for index, wanted in enumerate(explain) if wanted]
        prompts = self._render([reviews[index] for index in open_rows])
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
            for position, (index, start, text) in enumerate(zip(open_rows, starts, texts, strict=True)):
                raw = start + text
                answers[index] = (raw, parse_answer(raw, self.prompt, self.labels, needs_explanation=True))
                if answers[index][1].failure:
                    failed.append(position)
            open_rows, prompts = [open_rows[i] for i in failed], [prompts[i] for i in failed]
        return answers
