"""Section `draw`: the one t-SNE fit that all pictures share."""

from __future__ import annotations

from stages.running.config import require, section


@section
class Draw:
    """t-SNE's perplexity: about how many neighbours a row keeps near."""

    perplexity: float

    def __post_init__(self) -> None:
        require(self.perplexity >= 1, f"draw.perplexity={self.perplexity} must be 1 or more")
