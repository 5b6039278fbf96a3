"""Section `embed`: how sentence embeddings are made."""

from __future__ import annotations

from stages.common.config import require_option, section


@section
class Embed:
    """`prefix` stands before every text; `pooling` is for folders that bring none of their own."""

    prefix: str
    pooling: str
    batch_size: int

    def __post_init__(self) -> None:
        require_option("embed.pooling", self.pooling, ("mean", "cls", "max"))
