"""Section `answer`: how students answer the checked reviews."""

from __future__ import annotations

from stages.running.config import require, section


@section
class Answer:
    """Reviews a batch; students with a frozen encoder share one pass over it and need no batches."""

    batch_size: int

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, "answer.batch_size must be at least 1")
