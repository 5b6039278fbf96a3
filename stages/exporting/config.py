"""Section `export`: how the student becomes ONNX."""

from __future__ import annotations

from stages.running.config import require, section


@section
class Export:
    """int8 is used where it costs at most `max_f1_drop` of macro F1 on the checked rows."""

    max_f1_drop: float

    def __post_init__(self) -> None:
        require(0 <= self.max_f1_drop <= 1, "export.max_f1_drop must be within 0 and 1")
