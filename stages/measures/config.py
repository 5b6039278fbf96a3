"""Section `doubt`: how many reviews whose label is in doubt are looked at."""

from __future__ import annotations

from stages.running.config import require, section


@section
class Doubt:
    """At most `reviews` of them are answered by the student in use and shown, the most doubtful ones."""

    reviews: int

    def __post_init__(self) -> None:
        require(self.reviews >= 1, f"doubt.reviews={self.reviews} must be at least 1")
