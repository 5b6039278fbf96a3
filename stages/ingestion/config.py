"""Section `data`: the input, the checked files, and how rows are cleaned and split."""

from __future__ import annotations

from dataclasses import field

from stages.common.gold import PEOPLE
from stages.running.config import require, section


@section
class Gold:
    """Human-checked files inside `folder`: gold set -> file name; null leaves out a set named elsewhere.

    Rows of `calibration` are not scored: they tell how sure the student may be (`train.temperature_scaling`).
    """

    folder: str
    sets: dict[str, str | None] = field(default_factory=dict)
    calibration: str | None = None

    def __post_init__(self) -> None:
        require(
            PEOPLE not in self.sets,
            f"data.gold.sets.{PEOPLE} has the name that the answers in human.answers are scored by; choose another",
        )


@section
class Data:
    """The input file and how it is cleaned and split. Shares are fractions of the unlabelled rows."""

    name: str
    path: str
    text_column: str
    gold: Gold
    min_chars: int
    max_chars: int
    max_file_mib: int
    limit: int | None = None
    validation_share: float
    test_share: float

    def __post_init__(self) -> None:
        require(0 < self.validation_share < 1, f"data.validation_share={self.validation_share} is not within 0…1")
        require(0 <= self.test_share < 1, f"data.test_share={self.test_share} is not within 0…1")
        require(
            self.validation_share + self.test_share < 1, "data.validation_share + data.test_share leave no train rows"
        )
        require(self.limit is None or self.limit > 0, f"data.limit={self.limit} must be positive, or null for all rows")
