"""A configuration as it is, but small: few of its reviews, no number above a ceiling."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from stages.common.io import write_table
from stages.composition.params import Params
from stages.ingestion.inputs import raw_texts, read_calibration, read_gold, reserved
from stages.ingestion.intake import Intake
from stages.vocabulary.vocabulary import read_seeds

# Reviews of each split: twenty, whatever the hashes of a handful would have made of them.
REVIEWS = {"train": 14, "validation": 3, "test": 3}
# Rows of each category in a checked file.
CHECKED = 2
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
    """Write a few reviews and checked rows that `params` names into `folder`; the section `data` that names these.

    The texts are what they are in a whole run, and so are their splits: whatever is asked or computed is known there.

    Raises:
        DataError: as `raw_texts`, `read_gold`, `read_calibration` and `reserved`.
    """
    data, names = params.data, params.labels.names
    gold = read_gold(data, names)
    calibration = read_calibration(data, names, gold)
    intake = Intake(data, reserved(gold, calibration, read_seeds(params.vocabulary.seeds, names)))
    chosen: dict[str, list[str]] = {split: [] for split in REVIEWS}
    for rows, texts in raw_texts(data):
        raw = dict(zip(rows, texts, strict=True))
        reviews, _ = intake.take_in(rows, texts)
        for row, split in zip(reviews["row"], reviews["split"], strict=True):
            if len(chosen[split]) < REVIEWS[split]:
                chosen[split].append(raw[row])
        if all(len(chosen[split]) == most for split, most in REVIEWS.items()):
            break
    # Parquet, where a text is one: what runs in a spreadsheet is escaped in a CSV.
    few = pd.DataFrame({"text": [text for of_split in chosen.values() for text in of_split]})
    write_table(folder / "reviews.parquet", few)
    sets: dict[str, str] = {}
    for name, checked in gold.groupby("gold_set", sort=False):
        sets[str(name)] = file = f"{len(sets)}.parquet"
        _write_checked(folder / "gold" / file, checked)
    # The folder has to be there, whatever is in it.
    _write_checked(folder / "gold/calibration.parquet", calibration)
    return {
        "path": str(folder / "reviews.parquet"),
        "text_column": "text",
        "limit": None,
        "gold": {
            "folder": str(folder / "gold"),
            "sets": sets,
            "calibration": None if calibration.empty else "calibration.parquet",
        },
    }


def _write_checked(path: Path, rows: pd.DataFrame) -> None:
    write_table(path, rows.groupby("label").head(CHECKED)[["text", "label", "stratum", "flag"]])
