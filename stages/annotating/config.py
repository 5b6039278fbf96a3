"""Section `annotate`: which reviews people are asked about."""

from __future__ import annotations

from stages.running.config import require, require_option, section

STRATEGIES = ("random", "uncertainty", "disagreement", "diversity", "mixed")


@section
class Annotate:
    """How a batch is put together.

    `scored_share` of it is drawn at random from the test split, to be scored and never learnt from;
    `calibration_share` at random from the validation split, for the student's confidence; the rest by `strategy` from
    the train split.
    """

    strategy: str
    scored_share: float
    calibration_share: float

    def __post_init__(self) -> None:
        require_option("annotate.strategy", self.strategy, STRATEGIES)
        for name in ("scored_share", "calibration_share"):
            share = getattr(self, name)
            require(0 <= share <= 1, f"annotate.{name}={share} is not within 0…1")
        require(
            self.scored_share + self.calibration_share <= 1,
            "annotate.scored_share + annotate.calibration_share are more than the whole batch",
        )
