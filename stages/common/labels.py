"""Section `labels`: the categories."""

from __future__ import annotations

from stages.common.config import require, section


@section
class Labels:
    """The categories, in the one order that every array, table and picture uses; `language` is a code such as ru."""

    language: str
    names: list[str]

    def __post_init__(self) -> None:
        require(len(self.names) >= 2, "labels.names needs at least two categories")
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        require(not repeated, f"labels.names repeats {repeated}")
