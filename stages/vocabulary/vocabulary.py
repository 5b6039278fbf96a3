"""The written material: example reviews of every category, and the attributes that generation varies."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stages.common.labels import meant_label
from stages.common.texts import text_id
from stages.reading.encoding import decode
from stages.reading.table import read_whole
from stages.running.errors import DataError
from stages.vocabulary.config import VocabularyFiles

logger = logging.getLogger(__name__)


# Columns of a written text.
_WRITTEN = ("text", "label", "product", "notes")


@dataclass(frozen=True)
class Vocabulary:
    """Written seeds (columns id, row, text, label, product, notes), and what reviews of the labels at hand may be like.

    `products`: label -> product -> what a customer might note about it. `manner`: how a review may be written, a list
    of options for each name that a generation prompt may use.
    """

    seeds: pd.DataFrame
    products: dict[str, dict[str, list[str]]]
    manner: dict[str, list[str]]

    def of(self, label: str) -> pd.DataFrame:
        """The seeds of one label."""
        return self.seeds[self.seeds["label"] == label]

    def examples(self) -> pd.DataFrame:
        """All that is written of the labels as a review might say it; columns as of `seeds`, without id and row.

        That is the seeds, and for each product one text of its name and all of its notes.
        """
        phrases = self._products().assign(text=lambda rows: rows["product"] + ": " + rows["notes"])
        return pd.concat([self.seeds[list(_WRITTEN)], phrases[list(_WRITTEN)]], ignore_index=True)

    def names(self) -> pd.DataFrame:
        """Each product's bare name as a text, where it is of one label alone; columns as of `examples`."""
        products = self._products().assign(text=lambda rows: rows["product"], notes="")
        return products[list(_WRITTEN)].drop_duplicates("text", keep=False, ignore_index=True)

    def _products(self) -> pd.DataFrame:
        rows = [
            (label, product, ", ".join(notes))
            for label, listed in self.products.items()
            for product, notes in listed.items()
        ]
        return pd.DataFrame(rows, columns=["label", "product", "notes"])


def read_seeds(path: str, labels: list[str]) -> pd.DataFrame:
    """Read the written seeds of `labels`; `row` is what a spreadsheet shows.

    Seeds of other categories, as where some of the shipped ones are classified alone, are left out.

    Raises:
        DataError: the file lacks a column, has an empty text, a label that is nearly one of `labels`, or no seed for
            one of them (named).
    """
    frame = read_whole(Path(path), "text", key="vocabulary.seeds")
    missing = set(_WRITTEN) - set(frame.columns)
    if missing:
        raise DataError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    for column in ("text", "label"):
        empty = frame.index[frame[column].str.strip() == ""]
        if len(empty):
            raise DataError(f"{path}, row {empty[0]}: a seed without a {column}; write one, or take the row out")
    meant = [_label(written, labels, f"{path}, row {row}") for row, written in frame["label"].items()]
    for label in labels:
        if label not in meant:
            raise DataError(f"{path} has no seed for {label!r}; write a few")
    known = frame.assign(label=pd.Series(meant, frame.index), row=frame.index)[[label is not None for label in meant]]
    if len(known) < len(frame):
        others = sorted(set(frame["label"]) - set(known["label"]) - set(labels))
        logger.info("%s: %d seeds of other categories are left out: %s", path, len(frame) - len(known), others)
    return known.reset_index(drop=True).assign(id=["seed-" + text_id(text) for text in known["text"]])


def read_vocabulary(files: VocabularyFiles, labels: list[str]) -> Vocabulary:
    """Read the written seeds and attributes.

    Raises:
        DataError: a file lacks a column or a list, has something else in its place, or nothing for one of `labels`
            (named).
    """
    path = files.attributes
    lists = _mapping(_yaml(path), path, "the file", "products: …, manner: …")
    products = {}
    for name, listed in _mapping(lists.get("products", {}), path, "products", "category: {…}").items():
        label = _label(name, labels, path)
        products[label] = _mapping(listed, path, f"products of {name!r}", "product: [note, note]")
    for label in labels:
        if not products.get(label):
            raise DataError(f"{path} has no products for {label!r}; add some under products")
        for product, notes in products[label].items():
            _require_texts(notes, f"{path}: notes on {product!r} of {label!r}")
    manner = _mapping(lists.get("manner", {}), path, "manner", "name: [option, option]")
    for name, options in manner.items():
        _require_texts(options, f"{path}: manner {name!r}")
    return Vocabulary(read_seeds(files.seeds, labels), {label: products[label] for label in labels}, manner)


def _label(written: str, labels: list[str], where: str) -> str | None:
    """The label that is meant; `DataError` where it is none of them and all but one of them."""
    meant = meant_label(written, labels)
    near = (
        [] if meant else get_close_matches(written.casefold(), [label.casefold() for label in labels], n=1, cutoff=0.8)
    )
    if near:
        raise DataError(f"{where}: label {written!r} is not one of {', '.join(labels)}; is {near[0]!r} meant?")
    return meant


def _yaml(path: str) -> Any:
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{path} does not exist; check vocabulary.attributes")
    text, _ = decode(file.read_bytes(), path)
    try:
        return OmegaConf.to_container(OmegaConf.create(text))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        raise DataError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def _mapping(value: Any, path: str, what: str, form: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise DataError(f"{path}: {what} must be a mapping of texts: {form}; numbers, yes and no stand in quotes")
    return value


def _require_texts(value: Any, where: str) -> None:
    """Refuse what is no list of texts: a single one would be taken letter by letter."""
    if not isinstance(value, list) or not value:
        raise DataError(f"{where} must be a list: [one, another]; found {value!r}")
    for item in value:
        if not isinstance(item, str) or not item.strip():
            raise DataError(f"{where}: {item!r} is no text; put it in quotes, or take it out")
