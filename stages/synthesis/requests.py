"""What to ask the generator for: a prompt, its seeds and its attributes, a request a candidate."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from stages.common.arrays import FloatArray
from stages.common.templates import PromptTemplate
from stages.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Request:
    """One question to the generator. `seed_ids` are the rows it was shown; `attributes` what it was asked for.

    `source` is the row that is to be told again, "" for none.

    `number` counts the requests for `label`: with the label it seeds the sampling, so that a larger plan asks the
    smaller one's questions again and finds their answers in the cache.
    """

    label: str
    number: int
    prompt: str
    seed_ids: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    source: str = ""


# Characters of a real review that the generator is shown: three times an ordinary one. Four whole ones of the longest
# that are read (`data.max_chars`) would leave no room for what it is to write.
SHOWN = 500

# Consecutive requests that share their examples, so that the engine's prefix cache holds all but the last lines.
SHARED = 8


def base_requests(
    template: PromptTemplate,
    vocabulary: Vocabulary,
    real: pd.DataFrame,
    label: str,
    examples: int,
    generator: np.random.Generator,
) -> Iterator[Request]:
    """Endless requests for new reviews of `label`.

    Real train rows of the class serve as seeds beside the written ones where there are any. Products are gone
    through in shuffled rounds, so that all of them occur before one repeats, each with other notes (AttrPrompt, arXiv
    2306.15895, sec. 3): a small model words what it is told far better than it thinks of something.
    """  # fmt: skip
    written = vocabulary.of(label)
    found = real[real["label"] == label].assign(product=label, notes="")
    numbers = itertools.count()
    while True:
        products = generator.permutation(np.array(list(vocabulary.products[label]), dtype=object))
        for group in np.split(products, range(SHARED, len(products), SHARED)):
            # One real row among written ones: it lends its manner, and a wrong label of it does little harm.
            borrowed = found.sample(min(1, len(found), examples), random_state=generator)
            others = written[~written["product"].isin(group)]
            borrowed = borrowed.assign(text=borrowed["text"].map(cut))
            shown = pd.concat(
                [borrowed, others.sample(min(examples - len(borrowed), len(others)), random_state=generator)]
            )
            for product in group:
                notes = vocabulary.products[label][product]
                count = min(int(generator.choice(NOTES)), len(notes))
                drawn = generator.choice(np.array(notes, dtype=object), count, replace=False)
                attributes = {"product": product, "notes": "; ".join(drawn)}
                attributes |= draw_manner(template, vocabulary, generator)
                prompt = template.render(label=label, examples=shown.to_dict("records"), **attributes)
                yield Request(label, next(numbers), prompt, shown["id"].to_list(), attributes)


# How many notes a review is to be made of.
NOTES = (2, 3)


def retelling_requests(
    template: PromptTemplate,
    vocabulary: Vocabulary,
    sources: pd.DataFrame,
    label: str,
    shown: Sequence[pd.DataFrame],
    generator: np.random.Generator,
) -> Iterator[Request]:
    """Endless requests to tell synthetic reviews of `label` again, in shuffled rounds.

    They are told beside each of the tables `shown` of real rows (id, text; there may be none) in turn.
    """  # fmt: skip
    own = sources[sources["label"] == label]
    exemplars = [rows["text"].map(cut).to_list() for rows in shown]
    numbers = itertools.count()
    while len(own):
        for at in generator.permutation(len(own)):
            row = own.iloc[at]
            attributes = json.loads(row["attributes"]) | draw_manner(template, vocabulary, generator)
            number = next(numbers)
            turn = number % len(shown)
            prompt = template.render(label=label, source=row["text"], exemplars=exemplars[turn], **attributes)
            yield Request(label, number, prompt, [row["id"], *shown[turn]["id"]], attributes, source=row["id"])


def cut(text: str) -> str:
    """`text`, or its first `SHOWN` characters up to the last whole word."""
    return text if len(text) <= SHOWN else text[:SHOWN].rsplit(" ", 1)[0] + "…"


def draw_manner(template: PromptTemplate, vocabulary: Vocabulary, generator: np.random.Generator) -> dict[str, str]:
    """One option of each part of the vocabulary's manner that `template` names."""
    parts = {name: options for name, options in vocabulary.manner.items() if name in template.variables}
    return {name: str(generator.choice(options)) for name, options in parts.items()}


def choose_exemplars(sources: FloatArray, real: FloatArray, count: int, diversity: float = 0.5) -> list[int]:
    """`count` rows of `real` that are like `sources` on average and unlike each other.

    Maximal marginal relevance (Carbonell & Goldstein 1998) on L2-normalised embeddings.

    Args:
        sources: (sources, d). real: (rows, d).
        count: exemplars to choose.
        diversity: 0 looks at similarity to the sources alone, 1 at difference among the chosen alone.
    """
    likeness = (sources @ real.T).mean(axis=0)
    picked: list[int] = []
    closest = np.full(len(real), -1.0)
    for _ in range(min(count, len(real))):
        score = (1 - diversity) * likeness - diversity * np.maximum(closest, 0)
        score[picked] = -np.inf
        picked.append(int(score.argmax()))
        closest = np.maximum(closest, real @ real[picked[-1]])
    return picked
