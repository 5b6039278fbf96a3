"""Turn a raw table into clean, unique, split rows; what cannot be used is set aside with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from stages.common.errors import DataError
from stages.common.texts import letters, text_id
from stages.ingestion.cleaning import clean
from stages.ingestion.config import Data
from stages.ingestion.tables import GOLD, REVIEWS


@dataclass(frozen=True)
class Counts:
    """What became of the rows: `rows_in` = `rows_out` + `duplicates` + `quarantined`; and how many checked ones are."""

    rows_in: int
    rows_out: int
    duplicates: int
    quarantined: int
    quarantine_reasons: Mapping[str, int]
    splits: Mapping[str, int]
    gold: Mapping[str, int]
    calibration: int


@dataclass(frozen=True)
class Intake:
    """Rows that can be used, rows that cannot, and how many repeat another one."""

    rows_in: int
    reviews: pd.DataFrame
    quarantined: pd.DataFrame
    duplicates: int

    def counts(self, gold: pd.DataFrame, calibration: pd.DataFrame) -> Counts:
        """The rows in figures, beside the checked rows for scores and for calibration."""
        return Counts(
            rows_in=self.rows_in,
            rows_out=len(self.reviews),
            duplicates=self.duplicates,
            quarantined=len(self.quarantined),
            quarantine_reasons=_value_counts(self.quarantined["reason"]),
            splits=_value_counts(self.reviews["split"]),
            gold=_value_counts(gold["gold_set"]),
            calibration=len(calibration),
        )


def take_in(texts: pd.Series, data: Data, reserved: frozenset[str] = frozenset()) -> Intake:
    """Clean, check, de-duplicate and split raw texts.

    Args:
        texts: raw texts in file order.
        data: limits and split shares.
        reserved: letters of checked texts; such a row is set aside, so that none of them can enter training.

    Raises:
        DataError: too few usable rows for a train and a validation split.
    """
    frame = pd.DataFrame({"row": range(len(texts)), "raw": texts.to_list()})
    frame["text"] = [clean(raw) for raw in frame["raw"]]
    frame["id"] = [text_id(text) for text in frame["text"]]
    frame["reason"] = [_reason(text, data, reserved) for text in frame["text"]]
    kept = frame[frame["reason"] == ""]
    unique = kept[~kept["text"].map(letters).duplicated()]
    reviews = unique[["id", "row", "text"]].assign(split=[_split(identity, data) for identity in unique["id"]])
    reviews = reviews.reset_index(drop=True)
    _require_splits(reviews, len(texts))
    quarantined = frame.loc[frame["reason"] != "", ["row", "reason", "raw"]].reset_index(drop=True)
    # A cell of megabytes would make the quarantine file as unreadable as the input.
    quarantined["raw"] = quarantined["raw"].str.slice(0, 200)
    return Intake(len(texts), REVIEWS.validate(reviews), quarantined, duplicates=len(kept) - len(unique))


def take_in_gold(frame: pd.DataFrame, gold_set: str, text_column: str, labels: list[str], source: str) -> pd.DataFrame:
    """Clean a human-checked table with columns text, `label` and, if there, `stratum` and `flag`.

    Rows with an empty label are not gold (they may be kept back for another measurement) and are left out;
    repeated texts count once.

    Raises:
        DataError: no `label` column, no label, or one outside `labels` (named with its row).
    """
    if "label" not in frame.columns:
        raise DataError(f"{source} has no column 'label'; it has {', '.join(map(repr, frame.columns))}")
    rows = pd.DataFrame(
        {
            "gold_set": gold_set,
            "row": range(len(frame)),
            "text": [clean(raw) for raw in frame[text_column]],
            "label": frame["label"].str.strip().to_list(),
            "stratum": frame["stratum"].to_list() if "stratum" in frame else "",
            "flag": frame["flag"].to_list() if "flag" in frame else "",
        }
    )
    rows = rows[rows["label"] != ""]
    if rows.empty:
        raise DataError(f"{source} has no row with a label; fill the column 'label'")
    unknown = rows[~rows["label"].isin(labels)]
    if len(unknown):
        first = unknown.iloc[0]
        raise DataError(f"{source}, row {first['row']}: label {first['label']!r} is not one of {', '.join(labels)}")
    empty = rows[rows["text"] == ""]
    if len(empty):
        raise DataError(f"{source}, row {empty.iloc[0]['row']}: a label without a text")
    rows.insert(1, "id", [text_id(text) for text in rows["text"]])
    return GOLD.validate(rows.drop_duplicates(["gold_set", "id"]).reset_index(drop=True))


def letters_of(*tables: pd.DataFrame) -> frozenset[str]:
    """The letters of all texts of `tables`."""
    return frozenset(letters(text) for table in tables for text in table["text"])


def without(rows: pd.DataFrame, gold: pd.DataFrame) -> pd.DataFrame:
    """Those of `rows` whose text is not in `gold`, compared by letters and digits alone."""
    return rows[~rows["text"].map(letters).isin(letters_of(gold))].reset_index(drop=True)


def _reason(text: str, data: Data, reserved: frozenset[str]) -> str:
    if not text:
        return "empty"
    if not any(character.isalpha() for character in text):
        return "no letters"
    if len(text) < data.min_chars:
        return f"shorter than {data.min_chars} characters"
    if len(text) > data.max_chars:
        return f"longer than {data.max_chars} characters"
    return "also in a checked file" if letters(text) in reserved else ""


def _split(identity: str, data: Data) -> str:
    """Split by the text's hash: a row keeps its split whatever is added to the file or taken from it."""
    position = int(identity, 16) / 16 ** len(identity)
    if position < data.validation_share:
        return "validation"
    return "test" if position < data.validation_share + data.test_share else "train"


def _require_splits(reviews: pd.DataFrame, rows_in: int) -> None:
    counts = reviews["split"].value_counts()
    if counts.get("train", 0) < 2 or counts.get("validation", 0) < 1:
        raise DataError(
            f"{len(reviews)} of {rows_in} rows are usable, too few to train and validate on; give some hundreds"
        )


def _value_counts(values: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().items()}
