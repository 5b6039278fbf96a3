"""Section `embed`: how sentence embeddings are made."""

from __future__ import annotations

from stages.running.config import require, require_option, section


@section
class Embed:
    """`prefix` stands before every text, which is read in lower case, and without the dots of ё, with `lowercase`;
    `pooling` is for folders that bring none of their own.

    Texts are cut to `max_tokens`, prefix among them; `batch_size` matters on a graphics card alone.
    """

    prefix: str
    lowercase: bool
    pooling: str
    batch_size: int
    max_tokens: int

    def __post_init__(self) -> None:
        require_option("embed.pooling", self.pooling, ("mean", "cls"))
        require(self.max_tokens >= 1, "embed.max_tokens must be at least 1")
