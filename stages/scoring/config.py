"""Section `evaluate`: how scores are taken."""

from __future__ import annotations

from stages.running.config import require, section


@section
class Evaluate:
    """How scores are taken: bootstrap resamples, and the interval's coverage."""

    bootstrap: int
    coverage: float

    def __post_init__(self) -> None:
        require(self.bootstrap >= 1, "evaluate.bootstrap must be at least 1")
        require(0 < self.coverage < 1, f"evaluate.coverage={self.coverage} is not within 0…1")
