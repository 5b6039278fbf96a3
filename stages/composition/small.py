"""A configuration as it is, but small: few of its reviews, no number above a ceiling."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from omegaconf import OmegaConf

from stages.common.gold import drawn_rows
from stages.composition.params import Params
from stages.ingestion.inputs import raw_texts, read_calibration, read_gold, reserved
from stages.ingestion.intake import Intake
from stages.running.io import atomic_path, write_table
from stages.vocabulary.vocabulary import read_seeds, read_vocabulary

# Reviews of each split: twenty, whatever the hashes of a handful would have made of them.
REVIEWS = {"train": 14, "validation": 3, "test": 3}
# Rows of each category in a checked file.
CHECKED = 2
# Reviews and products of each category in the vocabulary.
WRITTEN = 3
# A line of dvc.yaml by which a stage depends on a file that the configuration names.
NAMED_FILE = re.compile(r"^ +- \$\{([\w.]+)\}$", re.MULTILINE)


def capped(value: Any, ceiling: Any) -> Any:
    """`value` with no number above that of `ceiling`; one for a mapping holds for all that is in it."""
    if isinstance(ceiling, Mapping):
        return {**value, **{key: capped(value[key], most) for key, most in ceiling.items()}}
    if isinstance(value, Mapping):
        return {key: capped(inner, ceiling) for key, inner in value.items()}
    return min(value, ceiling)


def located(settings: Mapping[str, Any], folder: Path, pipeline: Path = Path("dvc.yaml")) -> dict[str, Any]:
    """`settings` to be read in `folder`, whence the files that `pipeline` has stages depend on may be elsewhere.

    A path that leads to the same file from there stays as it is: to DVC, the same stage is one with the same paths.
    """
    found = OmegaConf.create(dict(settings))
    for key in NAMED_FILE.findall(pipeline.read_text(encoding="utf-8")):
        # Stage `models` calls the section of each model `item`.
        of_models = [re.sub("^item", f"models.{role}", key) for role in settings["models"]]
        for full in of_models if key.startswith("item.") else [key]:
            path = Path(OmegaConf.select(found, full))
            if (folder / path).resolve() != path.resolve():
                OmegaConf.update(found, full, os.path.abspath(path))
    resolved: dict[str, Any] = OmegaConf.to_container(found)  # type: ignore[assignment]
    return resolved


def write_handful(params: Params, folder: Path) -> dict[str, Any]:
    """Write the first reviews of each split and some checked rows into `folder`; the section `data` that names these.

    The texts are what they are in a whole run, and so are their splits: what is computed of a text is known there.

    Raises:
        DataError: as `raw_texts`, `read_gold`, `read_calibration` and `reserved`.
    """
    gold, calibration = _checked(params)
    chosen: dict[str, list[str]] = {split: [] for split in REVIEWS}
    for reviews in _usable(params, gold, calibration):
        for raw, split in zip(reviews["raw"], reviews["split"], strict=True):
            if len(chosen[split]) < REVIEWS[split]:
                chosen[split].append(raw)
        if all(len(chosen[split]) == most for split, most in REVIEWS.items()):
            break
    sets: dict[str, str | None] = {}
    for name, checked in gold.groupby("gold_set", sort=False):
        sets[str(name)] = file = f"{len(sets)}.parquet"
        _write_checked(folder / "gold" / file, checked)
    # The folder has to be there, whatever is in it.
    _write_checked(folder / "gold/calibration.parquet", calibration)
    return _write_reviews(folder, chosen, sets, None if calibration.empty else "calibration.parquet")


def write_few_words(params: Params, folder: Path) -> dict[str, Any]:
    """Write the first reviews and products of each category into `folder`; the section `vocabulary` that names these.

    A student that is trained whole on a processor would learn from thousands of written texts for hours.

    Raises:
        DataError: as `read_vocabulary`.
    """
    vocabulary = read_vocabulary(params.vocabulary, params.labels.names)
    seeds, attributes = folder / "seeds.parquet", folder / "attributes.yaml"
    few = vocabulary.seeds.groupby("label", sort=False).head(WRITTEN)
    write_table(seeds, few[["text", "label", "product", "notes"]])
    products = {label: dict(islice(listed.items(), WRITTEN)) for label, listed in vocabulary.products.items()}
    with atomic_path(attributes) as temporary:
        lists = {"products": products, "manner": vocabulary.manner}
        temporary.write_text(yaml.safe_dump(lists, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return {"seeds": str(seeds), "attributes": str(attributes)}


@dataclass(frozen=True)
class Pile:
    """What a draw was made from: usable `reviews`, those in the train split; `checked` ones for the teacher."""

    reviews: int
    train: int
    checked: int


def write_drawn(params: Params, folder: Path, number: int) -> tuple[dict[str, Any], Pile]:
    """Write `number` reviews drawn at random over the whole file into `folder`; the section `data` that names these.

    Each split gives its share, and one at the least. Drawn are those with the least hashes of seed and text, a simple
    random sample of each split: the same wherever in the file they stand, and whatever is added to it but a few.
    Checked rows are left out. Texts and splits are as of `write_handful`.

    Raises:
        DataError: as of `write_handful`.
    """
    gold, calibration = _checked(params)
    data = params.data
    due = {"validation": max(1, round(number * data.validation_share)), "test": max(1, round(number * data.test_share))}
    due["train"] = max(2, number - sum(due.values()))
    drawn: dict[str, list[tuple[bytes, str]]] = {split: [] for split in due}
    counts = dict.fromkeys(due, 0)
    for reviews in _usable(params, gold, calibration):
        for split, rows in reviews.groupby("split"):
            places = [hashlib.blake2b(f"{params.seed} {name}".encode(), digest_size=16).digest() for name in rows["id"]]
            drawn[str(split)] = sorted([*drawn[str(split)], *zip(places, rows["raw"], strict=True)])[: due[str(split)]]
            counts[str(split)] += len(rows)
    _write_checked(folder / "gold/none.parquet", gold.head(0))
    chosen = {split: [raw for _, raw in rows] for split, rows in drawn.items()}
    section = _write_reviews(folder, chosen, dict.fromkeys(data.gold.sets), None)
    asked = drawn_rows(gold, params.label.gold_rows)["id"].nunique()
    return section, Pile(sum(counts.values()), counts["train"], asked)


def _checked(params: Params) -> tuple[pd.DataFrame, pd.DataFrame]:
    gold = read_gold(params.data, params.labels.names)
    return gold, read_calibration(params.data, params.labels.names, gold)


def _usable(params: Params, gold: pd.DataFrame, calibration: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The reviews that stage `ingest` would keep, some at a time: the schema REVIEWS, and `raw`, as they came."""
    seeds = read_seeds(params.vocabulary.seeds, params.labels.names)
    intake = Intake(params.data, reserved(gold, calibration, seeds))
    for rows, texts in raw_texts(params.data):
        raw = dict(zip(rows, texts, strict=True))
        reviews, _ = intake.take_in(rows, texts)
        yield reviews.assign(raw=[raw[row] for row in reviews["row"]])


def _write_reviews(
    folder: Path, chosen: Mapping[str, list[str]], sets: Mapping[str, str | None], calibration: str | None
) -> dict[str, Any]:
    # Parquet, where a text is one: what runs in a spreadsheet is escaped in a CSV.
    few = pd.DataFrame({"text": [text for of_split in chosen.values() for text in of_split]})
    write_table(folder / "reviews.parquet", few)
    return {
        "path": str(folder / "reviews.parquet"),
        "text_column": "text",
        "limit": None,
        "gold": {"folder": str(folder / "gold"), "sets": dict(sets), "calibration": calibration},
    }


def _write_checked(path: Path, rows: pd.DataFrame) -> None:
    write_table(path, rows.groupby("label").head(CHECKED)[["text", "label", "stratum", "flag"]])
