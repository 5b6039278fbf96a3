"""One UMAP fit on the real rows (McInnes et al., 2018, arXiv 1802.03426); everything else is placed into it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stages.common.arrays import Vectors
from stages.common.errors import DataError
from stages.common.progress import Progress
from stages.drawing.config import Draw

Points = npt.NDArray[np.float32]
FEWEST_ROWS = 5


def project(real: Vectors, batches: Sequence[Vectors], settings: Draw, seed: int) -> tuple[Points, list[Points]]:
    """Fit on `real` (rows, dimensions) and place each of `batches` into the fit; arrays (rows, 2).

    Each batch is placed by itself, so the points of one step stay where they are when a later step is added.
    A fitted UMAP can only be stored by pickle, so it lives as long as this call.

    Raises:
        DataError: too few real rows for a neighbourhood graph.
    """
    if len(real) < FEWEST_ROWS:
        raise DataError(f"{len(real)} labelled rows are too few to draw; UMAP needs {FEWEST_ROWS}")
    with Progress(f"UMAP of {len(real)} vectors"), warnings.catch_warnings():
        from umap import UMAP  # imported here: it compiles for some 20 s

        # A seed rules out threads, of which UMAP warns each time.
        warnings.filterwarnings("ignore", message="n_jobs value")
        mapper = UMAP(
            n_neighbors=min(settings.neighbors, len(real) - 1),
            min_dist=settings.min_dist,
            metric="cosine",
            random_state=seed,
            transform_seed=seed,
        ).fit(real)
    return mapper.embedding_, [
        mapper.transform(batch) if len(batch) else np.empty((0, 2), np.float32) for batch in batches
    ]
