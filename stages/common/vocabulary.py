"""The written material: example reviews of every category, and the attributes that generation varies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from stages.common.errors import DataError
from stages.common.io import read_table
from stages.common.schema import text_id


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


def read_seeds(path: str, labels: list[str]) -> pd.DataFrame:
    """Read the written seeds of `labels`.

    Raises:
        DataError: the file lacks a column, or has no seed for one of `labels` (named).
    """
    frame = read_table(Path(path))
    missing = {"text", "label", "product", "tone", "aspect"} - set(frame.columns)
    if missing:
        raise DataError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    for label in labels:
        if not (frame["label"] == label).any():
            raise DataError(f"{path} has no seed for {label!r}; write a few")
    frame = frame[frame["label"].isin(labels)].reset_index(drop=True)
    return frame.assign(id=["seed-" + text_id(text) for text in frame["text"]])


def read_vocabulary(seeds: str, attributes: str, labels: list[str]) -> Vocabulary:
    """Read the written seeds and attributes.

    Raises:
        DataError: a file lacks a column, or has nothing for one of `labels` (named).
    """
    lists: Any = OmegaConf.to_container(OmegaConf.load(attributes))
    for label in labels:
        if label not in lists.get("products", {}):
            raise DataError(f"{attributes} has no products for {label!r}; add a list under products")
    return Vocabulary(read_seeds(seeds, labels), lists["products"], lists["aspects"], lists["tones"])
