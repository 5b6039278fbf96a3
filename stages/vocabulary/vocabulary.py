"""The written material: example reviews of every category, and the attributes that generation varies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from stages.common.errors import DataError
from stages.common.io import read_table
from stages.common.texts import text_id
from stages.vocabulary.config import VocabularyFiles


@dataclass(frozen=True)
class Vocabulary:
    """Written seeds (columns id, text, label, product, notes), and what reviews of the labels at hand may be like.

    `products`: label -> product -> what a customer might note about it. `manner`: how a review may be written, a list
    of options for each name that a generation prompt may use.
    """

    seeds: pd.DataFrame
    products: dict[str, dict[str, list[str]]]
    manner: dict[str, list[str]]

    def of(self, label: str) -> pd.DataFrame:
        """The seeds of one label."""
        return self.seeds[self.seeds["label"] == label]

    def phrases(self) -> pd.DataFrame:
        """Each product with all of its notes as one text; columns text, label."""
        rows = [
            (f"{product}: {', '.join(notes)}", label)
            for label, listed in self.products.items()
            for product, notes in listed.items()
        ]
        return pd.DataFrame(rows, columns=["text", "label"])


def read_seeds(path: str, labels: list[str]) -> pd.DataFrame:
    """Read the written seeds of `labels`.

    Raises:
        DataError: the file lacks a column, or has no seed for one of `labels` (named).
    """
    frame = read_table(Path(path))
    missing = {"text", "label", "product", "notes"} - set(frame.columns)
    if missing:
        raise DataError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    for label in labels:
        if not (frame["label"] == label).any():
            raise DataError(f"{path} has no seed for {label!r}; write a few")
    frame = frame[frame["label"].isin(labels)].reset_index(drop=True)
    return frame.assign(id=["seed-" + text_id(text) for text in frame["text"]])


def read_vocabulary(files: VocabularyFiles, labels: list[str]) -> Vocabulary:
    """Read the written seeds and attributes.

    Raises:
        DataError: a file lacks a column or a list, or has nothing for one of `labels` (named).
    """
    attributes = files.attributes
    lists: Any = OmegaConf.to_container(OmegaConf.load(attributes))
    products, manner = lists.get("products", {}), lists.get("manner", {})
    for label in labels:
        listed = products.get(label)
        if not listed:
            raise DataError(f"{attributes} has no products for {label!r}; add some under products")
        if not isinstance(listed, dict):
            raise DataError(f"{attributes}: products of {label!r} must be a mapping: product: [note, note]")
        bare = next((product for product, notes in listed.items() if not notes), None)
        if bare is not None:
            raise DataError(f"{attributes}: {bare!r} of {label!r} has no notes; write what customers might note")
    return Vocabulary(read_seeds(files.seeds, labels), {label: products[label] for label in labels}, manner)
