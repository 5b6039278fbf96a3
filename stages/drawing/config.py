"""Section `draw`: the one UMAP fit that all pictures share."""

from __future__ import annotations

from stages.common.config import require, section


@section
class Draw:
    """UMAP's `n_neighbors` and `min_dist`."""

    neighbors: int
    min_dist: float

    def __post_init__(self) -> None:
        require(self.neighbors >= 2, f"draw.neighbors={self.neighbors} must be 2 or more")
