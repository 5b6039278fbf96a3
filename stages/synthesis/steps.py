"""What each of the three steps asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.common.arrays import Vectors
from stages.common.provenances import SYNTHETIC_STEPS
from stages.common.templates import PromptTemplate
from stages.synthesis.config import Step
from stages.synthesis.requests import Request, base_requests, choose_exemplars, retelling_requests
from stages.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Written:
    """Accepted synthetic rows, and their embeddings (rows, dimensions)."""

    rows: pd.DataFrame
    embeddings: Vectors

    def joined(self, later: Written) -> Written:
        """These rows, then `later`'s."""
        return Written(
            pd.concat([self.rows, later.rows], ignore_index=True), np.concatenate([self.embeddings, later.embeddings])
        )


@dataclass(frozen=True)
class Material:
    """What a step writes from.

    `train`: the real train rows, `real` (rows, dimensions) their embeddings. `earlier`: what the steps before wrote, of
    which each row may be told again; None for the first step.
    """

    vocabulary: Vocabulary
    train: pd.DataFrame
    real: Vectors
    earlier: Written | None

    def facts(self) -> list[str]:
        """Products and what is noted about them, for they may use words that no dictionary has."""
        return [
            text
            for listed in self.vocabulary.products.values()
            for product, notes in listed.items()
            for text in (product, *notes)
        ]


def step_requests(
    name: str,
    step: Step,
    template: PromptTemplate,
    material: Material,
    wanted: Iterable[str],
    names: list[str],
    seed: int,
) -> dict[str, Iterator[Request]]:
    """Endless requests of step `name` for each of the labels `wanted`; `names` are all labels in their order."""
    generators = {
        label: np.random.default_rng([seed, SYNTHETIC_STEPS.index(name), number]) for number, label in enumerate(names)
    }
    vocabulary, train = material.vocabulary, material.train
    if material.earlier is None:
        sure = train[train["confidence"] >= SURE]
        return {
            label: base_requests(template, vocabulary, sure, label, step.examples, generators[label])
            for label in wanted
        }
    sources = material.earlier
    # The same for all labels, so that the engine computes them once.
    count = SETS * step.examples if len(sources.rows) else 0
    chosen = choose_exemplars(sources.embeddings, material.real, count)
    shown = [train.iloc[chosen[turn::SETS]] for turn in range(SETS)]
    return {
        label: retelling_requests(template, vocabulary, sources.rows, label, shown, generators[label])
        for label in wanted
    }


# Sets of real reviews that texts are retold beside, in turn: shown one set alone, they all come to sound alike.
SETS = 2

# A real row serves as a seed only where the teacher was this sure of its category.
SURE = 0.9
