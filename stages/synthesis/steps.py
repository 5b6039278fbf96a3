"""What each of the three steps asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.analysis.embeddings import Embeddings
from stages.common.config import Params
from stages.common.schema import SYNTHETIC_STEPS
from stages.common.templates import PromptTemplate
from stages.common.vocabulary import Vocabulary
from stages.synthesis.requests import (
    Request,
    base_requests,
    choose_exemplars,
    retelling_requests,
)


def step_wanted(plan: pd.DataFrame) -> dict[str, int]:
    """Rows to write in one step, by label: an equal part of what the plan asks for in all."""
    due = plan[plan["to_generate"] > 0]
    return {
        str(label): -(-int(rows) // len(SYNTHETIC_STEPS))
        for label, rows in zip(due["label"].to_list(), due["to_generate"].to_list(), strict=True)
    }


@dataclass(frozen=True)
class Written:
    """Accepted synthetic rows, and their embeddings (rows, dimensions)."""

    rows: pd.DataFrame
    embeddings: Embeddings

    def joined(self, later: Written) -> Written:
        """These rows, then `later`'s."""
        return Written(
            pd.concat([self.rows, later.rows], ignore_index=True), np.concatenate([self.embeddings, later.embeddings])
        )

    def of(self, step: str) -> Written:
        """The rows of one step."""
        chosen = (self.rows["provenance"] == step).to_numpy()
        return Written(self.rows[chosen].reset_index(drop=True), self.embeddings[chosen])


def step_requests(
    name: str,
    params: Params,
    template: PromptTemplate,
    wanted: Mapping[str, int],
    vocabulary: Vocabulary,
    train: pd.DataFrame,
    real: Embeddings,
    earlier: Written | None,
) -> dict[str, Iterator[Request]]:
    """Endless requests of step `name`, by label.

    Args:
        wanted: the labels to write for.
        train: real train rows; `real` (rows, d) their embeddings.
        earlier: what the steps before wrote, of which the last one's rows are told again; None for the first step.
    """  # fmt: skip
    step = getattr(params.generate, name)
    generators = {
        label: np.random.default_rng([params.seed, SYNTHETIC_STEPS.index(name), number])
        for number, label in enumerate(params.labels.names)
    }
    if earlier is None:
        sure = train[train["confidence"] >= SURE]
        return {
            label: base_requests(template, vocabulary, sure, label, step.examples, generators[label])
            for label in wanted
        }
    sources = earlier.of(SYNTHETIC_STEPS[SYNTHETIC_STEPS.index(name) - 1])

    def exemplars(group: pd.DataFrame) -> pd.DataFrame:
        return train.iloc[choose_exemplars(sources.embeddings[group.index], real, step.examples)]

    return {
        label: retelling_requests(template, vocabulary, sources.rows, label, exemplars, generators[label])
        for label in wanted
    }


# A real row serves as a seed only where the teacher was this sure of its category.
SURE = 0.9
