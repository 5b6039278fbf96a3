"""What to ask the generator for: a prompt, its seeds and its attributes, a request a candidate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from stages.common.errors import ConfigError, DataError
from stages.common.io import read_table
from stages.common.schema import FloatArray, text_id


@dataclass(frozen=True)
class Request:
    """One question to the generator. `seed_ids` are the rows it was shown; `attributes` what it was asked for."""

    label: str
    prompt: str
    seed_ids: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Vocabulary:
    """Written seeds (columns id, text, label, product, tone, aspect) and attribute lists, for the labels at hand."""

    seeds: pd.DataFrame
    products: dict[str, list[str]]
    aspects: list[str]
    tones: list[str]

    def of(self, label: str) -> pd.DataFrame:
        """The seeds of one label."""
        return self.seeds[self.seeds["label"] == label]


def read_vocabulary(seeds: str, attributes: str, labels: list[str]) -> Vocabulary:
    """Read the written seeds and attributes.

    Raises:
        DataError: a file lacks a column, or has nothing for one of `labels` (named).
    """
    frame = read_table(Path(seeds))
    missing = {"text", "label", "product", "tone", "aspect"} - set(frame.columns)
    if missing:
        raise DataError(f"{seeds} lacks the columns {', '.join(sorted(missing))}")
    lists: Any = OmegaConf.to_container(OmegaConf.load(attributes))
    for label in labels:
        if label not in lists.get("products", {}):
            raise DataError(f"{attributes} has no products for {label!r}; add a list under products")
        if not (frame["label"] == label).any():
            raise DataError(f"{seeds} has no seed for {label!r}; write a few")
    frame = frame.assign(id=["seed-" + text_id(text) for text in frame["text"]])
    return Vocabulary(frame, lists["products"], lists["aspects"], lists["tones"])


def load_generation_template(path: str) -> jinja2.Template:
    """Compile a generation prompt; a missing or malformed file is a `ConfigError`."""
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"generation template {path} does not exist; those that come along are in conf/generate/")
    try:
        return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(file.read_text("utf-8").rstrip("\n"))
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno}: {error.message}") from error


def base_requests(
    template: jinja2.Template,
    vocabulary: Vocabulary,
    real: pd.DataFrame,
    label: str,
    examples: int,
    generator: np.random.Generator,
) -> Iterator[Request]:
    """Endless requests for new reviews of `label`.

    Real train rows of the class serve as seeds beside the written ones where there are any. Products are gone
    through in shuffled rounds, so that all of them occur before one repeats (AttrPrompt, arXiv 2306.15895, sec. 3).
    """  # fmt: skip
    written = vocabulary.of(label)
    found = real[real["label"] == label].assign(product=label, tone="", aspect="")
    while True:
        for product in generator.permutation(np.array(vocabulary.products[label], dtype=object)):
            # One real row among written ones: it lends its manner, and a wrong label of it does little harm.
            borrowed = found.sample(min(1, len(found), examples), random_state=generator)
            others = written[written["product"] != product]
            shown = pd.concat(
                [borrowed, others.sample(min(examples - len(borrowed), len(others)), random_state=generator)]
            )
            attributes = {
                "product": product,
                "aspect": str(generator.choice(np.array(vocabulary.aspects, dtype=object))),
                "tone": str(generator.choice(np.array(vocabulary.tones, dtype=object))),
            }
            prompt = template.render(label=label, examples=shown.to_dict("records"), **attributes)
            yield Request(label, prompt, shown["id"].to_list(), attributes)


def retelling_requests(
    template: jinja2.Template,
    sources: pd.DataFrame,
    label: str,
    exemplars: dict[str, list[str]],
    exemplar_ids: dict[str, list[str]],
    generator: np.random.Generator,
) -> Iterator[Request]:
    """Endless requests to tell synthetic reviews of `label` again; `exemplars` by source id may be empty."""
    own = sources[sources["label"] == label]
    while len(own):
        for position in generator.permutation(len(own)):
            row = own.iloc[position]
            shown = exemplars.get(row["id"], [])
            prompt = template.render(label=label, source=row["text"], exemplars=shown)
            attributes = json.loads(row["attributes"])
            yield Request(label, prompt, [row["id"], *exemplar_ids.get(row["id"], [])], attributes)


def choose_exemplars(sources: FloatArray, real: FloatArray, count: int, diversity: float = 0.5) -> list[list[int]]:
    """For each source, `count` rows of `real` that are like it and unlike each other.

    Maximal marginal relevance (Carbonell & Goldstein 1998) on L2-normalised embeddings.

    Args:
        sources: (sources, d). real: (rows, d).
        count: exemplars a source.
        diversity: 0 looks at similarity to the source alone, 1 at difference among the chosen alone.
    """
    similarity = sources @ real.T
    chosen: list[list[int]] = []
    for row in similarity:
        picked: list[int] = []
        closest = np.full(len(real), -1.0)
        for _ in range(min(count, len(real))):
            score = (1 - diversity) * row - diversity * np.maximum(closest, 0)
            score[picked] = -np.inf
            picked.append(int(score.argmax()))
            closest = np.maximum(closest, real @ real[picked[-1]])
        chosen.append(picked)
    return chosen
