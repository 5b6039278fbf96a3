"""What each of the three steps asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from stages.analysis.embeddings import Embeddings
from stages.common.config import Params
from stages.common.schema import SYNTHETIC_STEPS
from stages.synthesis.requests import (
    Request,
    Vocabulary,
    base_requests,
    choose_exemplars,
    load_generation_template,
    retelling_requests,
)


def step_wanted(plan: pd.DataFrame) -> dict[str, int]:
    """Rows to write in one step, by label: an equal part of what the plan asks for in all."""
    due = plan[plan["to_generate"] > 0]
    return {
        str(label): -(-int(rows) // len(SYNTHETIC_STEPS))
        for label, rows in zip(due["label"].to_list(), due["to_generate"].to_list(), strict=True)
    }


def step_requests(
    name: str,
    params: Params,
    wanted: Mapping[str, int],
    vocabulary: Vocabulary,
    train: pd.DataFrame,
    real: Embeddings,
    sources: pd.DataFrame | None,
    embed: Callable[[list[str]], Embeddings],
) -> dict[str, Iterator[Request]]:
    """Endless requests of step `name`, by label.

    Args:
        wanted: the labels to write for.
        train: real train rows; `real` (rows, d) their embeddings.
        sources: what the step before wrote; None for the first step.
    """  # fmt: skip
    step = getattr(params.generate, name)
    template = load_generation_template(step.template)
    generators = {
        label: np.random.default_rng([params.seed, SYNTHETIC_STEPS.index(name), number])
        for number, label in enumerate(params.labels.names)
    }
    if sources is None:
        sure = train[train["confidence"] >= SURE]
        return {
            label: base_requests(template, vocabulary, sure, label, step.examples, generators[label])
            for label in wanted
        }
    sources = sources.reset_index(drop=True)
    vectors = embed(sources["text"].to_list()) if step.examples else None

    def exemplars(group: pd.DataFrame) -> pd.DataFrame:
        chosen = [] if vectors is None else choose_exemplars(vectors[group.index], real, step.examples)
        return train.iloc[chosen]

    return {label: retelling_requests(template, sources, label, exemplars, generators[label]) for label in wanted}


# A real row serves as a seed only where the teacher was this sure of its category.
SURE = 0.9
