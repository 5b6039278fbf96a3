"""One t-SNE fit on the real rows (van der Maaten & Hinton, 2008, JMLR 9); everything else is placed into it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stages.common.arrays import Vectors
from stages.drawing.config import Draw
from stages.running.errors import DataError
from stages.running.progress import Progress

Points = npt.NDArray[np.float32]
FEWEST_ROWS = 5

# Neighbours that a new row is placed among: of more, it would come to lie in the middle (Poličar et al., 2021,
# Machine Learning, doi 10.1007/s10994-021-06043-1).
PLACED_AMONG = 5


def project(real: Vectors, batches: Sequence[Vectors], settings: Draw, seed: int) -> tuple[Points, list[Points]]:
    """Fit on `real` (rows, dimensions) and place each of `batches` into the fit; arrays (rows, 2).

    Each batch is placed by itself, so the points of one step stay where they are when a later step is added.

    Raises:
        DataError: too few real rows to have neighbours.
    """
    if len(real) < FEWEST_ROWS:
        raise DataError(f"{len(real)} labelled rows are too few to draw; t-SNE needs {FEWEST_ROWS}")
    # A row looks at three times as many neighbours.
    most = (len(real) - 1) / 3
    with Progress(f"t-SNE of {len(real)} vectors"):
        from openTSNE import TSNE  # imported here: it takes two seconds

        tsne = TSNE(perplexity=min(settings.perplexity, most), metric="cosine", random_state=seed, n_jobs=-1)
        fit = tsne.fit(real)
        placed = [
            np.array(fit.transform(batch, perplexity=min(PLACED_AMONG, most)), np.float32)
            if len(batch)
            else np.empty((0, 2), np.float32)
            for batch in batches
        ]
    return np.array(fit, np.float32), placed
