"""Section `mix`: written examples among sentences of the shop."""

from __future__ import annotations

from stages.running.config import require, section


@section
class Mix:
    """Each written example is told `copies` times, each time with one to `sentences` sentences of the shop beside it.

    A sentence has at most `max_chars` characters, and is out of a review that names no product, to the second opinion's
    mind, with at least `min_confidence`.
    """

    copies: int
    sentences: int
    min_confidence: float
    max_chars: int

    def __post_init__(self) -> None:
        require(self.copies >= 0, f"mix.copies={self.copies} must not be negative")
        require(self.sentences >= 1, f"mix.sentences={self.sentences} must be at least 1; mix.copies=0 mixes nothing")
        require(0 <= self.min_confidence <= 1, f"mix.min_confidence={self.min_confidence} must lie within 0 and 1")
        require(self.max_chars >= 1, f"mix.max_chars={self.max_chars} must be at least 1")
