"""Turn a raw table into clean, unique, split rows; what cannot be used is set aside with a reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from stages.common.labels import meant_label
from stages.common.texts import letters, text_id
from stages.ingestion.cleaning import MAX_RAW_CHARS, clean
from stages.ingestion.config import Data
from stages.ingestion.personal_data import mask_personal_data
from stages.ingestion.tables import GOLD, REVIEWS
from stages.running.errors import DataError

# Fewer rows cannot be cut into a train and a validation split.
FEW = 3


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

    def __init__(self, data: Data, reserved: Mapping[str, str] | None = None) -> None:
        """Take in nothing yet.

        Args:
            data: limits and split shares.
            reserved: letters of a text -> why a row with these letters is set aside; that of checked texts, so that
                none of them can enter training.
        """
        self._data = data
        self._reserved = reserved or {}
        self._seen: set[bytes] = set()
        self._rows_in = 0
        self._duplicates = 0
        self._reasons: Counter[str] = Counter()
        self._splits: Counter[str] = Counter()

    def take_in(self, rows: Sequence[int], texts: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The next texts in file order as reviews (schema REVIEWS) and as rows set aside (row, reason, raw).

        `rows` are their numbers as a spreadsheet shows them.
        """
        frame = pd.DataFrame({"row": list(rows), "raw": list(texts)})
        frame["text"] = [clean(raw) for raw in texts]
        frame["id"] = [text_id(text) for text in frame["text"]]
        frame["split"] = [_split(identity, self._data) for identity in frame["id"]]
        frame["reason"] = [
            _reason(raw, text, self._data, self._reserved) for raw, text in zip(texts, frame["text"], strict=True)
        ]
        kept = frame[frame["reason"] == ""]
        reviews = kept.loc[[self._is_new(text) for text in kept["text"]], list(REVIEWS.columns)]
        quarantined = frame.loc[frame["reason"] != "", ["row", "reason", "raw", "text"]]
        # A cell of megabytes would make the quarantine file as unreadable as the input; personal data are masked first,
        # in what mark-up and escapes do not hide any more, or in a cell that has nothing else.
        shown = quarantined.pop("text")
        masked = quarantined["raw"].str.slice(0, MAX_RAW_CHARS).map(mask_personal_data)
        quarantined["raw"] = shown.where(shown != "", masked).str.slice(0, 200)
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
            raise DataError(self._too_few(rows_out))
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

    def _too_few(self, rows_out: int) -> str:
        """Why these rows are too few, and what to do."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self._reasons.most_common())
        told = f"{rows_out} of {self._rows_in} rows are usable" + f" ({reasons})" * bool(reasons)
        if rows_out < FEW:
            return f"{told}, too few to train and validate on; give some hundreds"
        missing = "validation" if not self._splits["validation"] else "train"
        return (
            f"{told}, and their texts' hashes put too few into {missing}: give more rows, or change "
            f"data.validation_share={self._data.validation_share} or data.test_share={self._data.test_share}"
        )

    def _is_new(self, text: str) -> bool:
        """Whether no text before had these letters."""
        digest = hashlib.blake2b(letters(text).encode(), digest_size=16).digest()
        new = digest not in self._seen
        self._seen.add(digest)
        return new


def take_in_gold(frame: pd.DataFrame, gold_set: str, labels: list[str], source: str) -> pd.DataFrame:
    """Clean a human-checked table with the columns `text`, `label` and, if there, `stratum` and `flag`.

    Its index is the row numbers that a spreadsheet shows. Rows with an empty label are not gold (they may be kept back
    for another measurement) and are left out; repeated texts count once. Labels may differ from `labels` in case and
    spaces.

    Raises:
        DataError: no `label` column, no label, one outside `labels`, a label without a text, or two labels for one
            text; the message names the row.
    """
    if "label" not in frame.columns:
        raise DataError(f"{source} has no column 'label'; it has {', '.join(map(repr, frame.columns))}")
    labelled = frame[frame["label"].str.strip() != ""]
    if labelled.empty:
        raise DataError(f"{source} has no row with a label; fill the column 'label'")
    rows = pd.DataFrame(
        {
            "gold_set": gold_set,
            "row": labelled.index,
            "text": [clean(raw) for raw in labelled["text"]],
            "label": [meant_label(written, labels) for written in labelled["label"]],
            "stratum": labelled["stratum"].to_list() if "stratum" in frame else "",
            "flag": labelled["flag"].to_list() if "flag" in frame else "",
        }
    )
    for row, written, known in zip(rows["row"], labelled["label"], rows["label"], strict=True):
        if known is None:
            raise DataError(f"{source}, row {row}: label {written!r} is not one of {', '.join(labels)}")
    empty = rows[rows["text"] == ""]
    if len(empty):
        raise DataError(f"{source}, row {empty.iloc[0]['row']}: a label without a text")
    rows.insert(1, "id", [text_id(text) for text in rows["text"]])
    same = rows["text"].map(letters)
    _require_one_label(rows, same, source)
    return GOLD.validate(rows[~same.duplicated()].reset_index(drop=True))


def _require_one_label(rows: pd.DataFrame, same: pd.Series, source: str) -> None:
    """Refuse texts that are the same (equal in `same`) and have several labels."""
    torn = [group for _, group in rows.groupby(same, sort=False) if group["label"].nunique() > 1]
    if torn:
        listed = "; ".join(
            ", ".join(f"row {row} {label!r}" for row, label in zip(group["row"], group["label"], strict=True))
            for group in torn[:5]
        )
        raise DataError(
            f"{source}: {len(torn)} texts have several labels ({listed}); keep one for each, or leave the label empty"
        )


def letters_of(*tables: pd.DataFrame) -> frozenset[str]:
    """The letters of all texts of `tables`."""
    return frozenset(letters(text) for table in tables for text in table["text"])


def without(rows: pd.DataFrame, gold: pd.DataFrame) -> pd.DataFrame:
    """Those of `rows` whose text is not in `gold`, compared by letters and digits alone."""
    return rows[~rows["text"].map(letters).isin(letters_of(gold))].reset_index(drop=True)


def _reason(raw: str, text: str, data: Data, reserved: Mapping[str, str]) -> str:
    if len(text) > data.max_chars:
        return f"longer than {data.max_chars} characters"
    if len(raw) > MAX_RAW_CHARS:
        return f"longer than {MAX_RAW_CHARS} characters with its mark-up"
    if not text:
        return "empty"
    if not any(character.isalpha() for character in text):
        return "no letters"
    if len(text) < data.min_chars:
        return f"shorter than {data.min_chars} characters"
    return reserved.get(letters(text), "")


def _split(identity: str, data: Data) -> str:
    """Split by the text's hash: a row keeps its split whatever is added to the file or taken from it."""
    position = int(identity, 16) / 16 ** len(identity)
    if position < data.validation_share:
        return "validation"
    return "test" if position < data.validation_share + data.test_share else "train"
