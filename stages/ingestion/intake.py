"""Turn a raw table into clean, unique, split rows; what cannot be used is set aside with a reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
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


class Intake:
    """Cleans, checks, de-duplicates and splits raw texts that come chunk by chunk.

    Of the reviews it keeps 16 bytes each, a digest of their letters: some 110 bytes of memory a review, whatever its
    length.
    """

    def __init__(self, data: Data, reserved: frozenset[str] = frozenset()) -> None:
        """Take in nothing yet.

        Args:
            data: limits and split shares.
            reserved: letters of checked texts; such a row is set aside, so that none of them can enter training.
        """
        self._data = data
        self._reserved = reserved
        self._seen: set[bytes] = set()
        self._rows_in = 0
        self._duplicates = 0
        self._reasons: Counter[str] = Counter()
        self._splits: Counter[str] = Counter()

    def take_in(self, texts: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The next texts in file order as reviews (schema REVIEWS) and as rows set aside (row, reason, raw)."""
        frame = pd.DataFrame({"row": range(self._rows_in, self._rows_in + len(texts)), "raw": list(texts)})
        frame["text"] = [clean(raw) for raw in texts]
        frame["id"] = [text_id(text) for text in frame["text"]]
        frame["split"] = [_split(identity, self._data) for identity in frame["id"]]
        frame["reason"] = [_reason(text, self._data, self._reserved) for text in frame["text"]]
        kept = frame[frame["reason"] == ""]
        reviews = kept.loc[[self._is_new(text) for text in kept["text"]], list(REVIEWS.columns)]
        quarantined = frame.loc[frame["reason"] != "", ["row", "reason", "raw"]]
        # A cell of megabytes would make the quarantine file as unreadable as the input.
        quarantined["raw"] = quarantined["raw"].str.slice(0, 200)
        self._rows_in += len(frame)
        self._duplicates += len(kept) - len(reviews)
        self._reasons.update(quarantined["reason"])
        self._splits.update(reviews["split"])
        return REVIEWS.validate(reviews.reset_index(drop=True)), quarantined.reset_index(drop=True)

    def counts(self, gold: pd.DataFrame, calibration: pd.DataFrame) -> Counts:
        """The rows so far in figures, beside the checked rows for scores and for calibration.

        Raises:
            DataError: too few usable rows for a train and a validation split.
        """
        rows_out = self._splits.total()
        if self._splits["train"] < 2 or self._splits["validation"] < 1:
            raise DataError(
                f"{rows_out} of {self._rows_in} rows are usable, too few to train and validate on; give some hundreds"
            )
        return Counts(
            rows_in=self._rows_in,
            rows_out=rows_out,
            duplicates=self._duplicates,
            quarantined=self._reasons.total(),
            quarantine_reasons=dict(self._reasons.most_common()),
            splits=dict(self._splits.most_common()),
            gold=dict(Counter(gold["gold_set"]).most_common()),
            calibration=len(calibration),
        )

    def _is_new(self, text: str) -> bool:
        """Whether no text before had these letters."""
        digest = hashlib.blake2b(letters(text).encode(), digest_size=16).digest()
        new = digest not in self._seen
        self._seen.add(digest)
        return new


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
