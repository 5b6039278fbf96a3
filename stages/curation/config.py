"""Section `curate`: what a second opinion does to the labels."""

from __future__ import annotations

from stages.running.config import require, require_option, section


@section
class Curate:
    """What a second opinion does to the teacher's labels; see `stages/curation/policy.py`.

    `teacher_weight` is the teacher's say beside the second opinion's 1; `regularisation` scikit-learn's C.
    """

    policy: str
    teacher_weight: float
    regularisation: float

    def __post_init__(self) -> None:
        require_option("curate.policy", self.policy, ("combine", "flagged", "downweight", "none"))
        require(self.teacher_weight >= 0, f"curate.teacher_weight={self.teacher_weight} must not be negative")
        require(self.regularisation > 0, f"curate.regularisation={self.regularisation} must be above 0")
