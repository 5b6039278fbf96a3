"""Section `human`: what people answered, and what it counts for."""

from __future__ import annotations

from stages.running.config import require, section


@section
class Human:
    """`answers` is a CSV of `id,text,label,drawn`; an answered train row counts for `weight` others in training."""

    answers: str
    weight: float

    def __post_init__(self) -> None:
        require(self.weight > 0, f"human.weight={self.weight} must be above 0")
