"""One choice out of several: what the same review was answered in another order, or after another line of thought."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from stages.llm.backend import Choice


def rotated(labels: Sequence[str], turn: int, turns: int) -> list[str]:
    """`labels` begun elsewhere, so that over all `turns` each of them stands near the start once.

    Language models prefer options by their place (Zheng et al. 2024, arXiv 2309.03882); rotations are the cheap part
    of all orders.
    """
    start = turn * len(labels) // turns
    return [*labels[start:], *labels[:start]]


def margin(choice: Choice) -> float:
    """By how much probability the likeliest answer leads, 0…1."""
    second, first = sorted(choice.logprobs)[-2:]
    return float(np.exp(first) - np.exp(second))


def average(choices: Sequence[Choice]) -> Choice:
    """The mean distribution and mass, and the first line of reasoning.

    Over sampled lines of reasoning: self-consistency (Wang et al. 2023, arXiv 2203.11171), with distributions in place
    of votes.
    """
    logprobs = logsumexp([choice.logprobs for choice in choices], axis=0) - np.log(len(choices))
    return Choice(choices[0].reasoning, logprobs.tolist(), float(np.mean([choice.mass for choice in choices])))
