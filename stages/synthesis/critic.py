"""Whether a text makes sense, in the opinion of the model that wrote it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.common.config import Critic
from stages.common.schema import FloatArray
from stages.llm.cache import CachedModel
from stages.synthesis.requests import load_generation_template


def sense(texts: Sequence[str], model: CachedModel, settings: Critic) -> FloatArray:
    """The probability (texts,) of `answer_yes` over `answer_no` after the critic's prompt.

    A model judges a text better than it writes one: "P(True)" (Kadavath et al. 2022, arXiv 2207.05221, sec. 4).
    """
    template = load_generation_template(settings.template)
    prompts = [template.render(text=model.backend.neutralise(text)) + "\n" for text in texts]
    choices = model.choose(prompts, [settings.answer_no, settings.answer_yes], "criticise")
    probabilities: FloatArray = np.exp(np.array([choice.logprobs[1] for choice in choices], dtype=np.float64))
    return probabilities
