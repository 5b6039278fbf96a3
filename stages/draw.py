"""Stage `draw`: the seven pictures of real and synthetic reviews, all in one projection."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from stages.analysis.embeddings import read_embeddings
from stages.analysis.pictures import (
    STEP_NAMES,
    axes_limits,
    choose_pictures,
    draw_picture,
    write_picture,
    write_points,
)
from stages.analysis.projection import project
from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import read_table
from stages.common.schema import ANALYSE, CURATE, EMBED, FINAL, METRICS, SYNTHETIC, SYNTHETIC_STEPS

logger = logging.getLogger(__name__)


def main() -> None:
    """Read labels, embeddings, plan and the accepted synthetic rows; write `metrics/pictures/`."""
    params = load()
    real = read_table(CURATE / "labels.parquet").assign(provenance="real")
    # The last step's table repeats the rows of the steps before it.
    synthetic = read_table(SYNTHETIC / FINAL / "accepted.parquet")
    frames = [real, *(synthetic[synthetic["provenance"] == step] for step in SYNTHETIC_STEPS)]
    points = pd.concat([frame[["text", "label", "provenance", "confidence"]] for frame in frames], ignore_index=True)
    points["step"] = points["provenance"].map(STEP_NAMES)
    batches = [read_embeddings(SYNTHETIC / FINAL, frame["id"].to_list()) for frame in frames[1:]]
    fitted, placed = project(read_embeddings(EMBED, real["id"].to_list()), batches, params.embed, params.seed)
    points[["x", "y"]] = np.concatenate([fitted, *placed])
    plan = read_table(ANALYSE / "plan.csv")
    pictures = choose_pictures(points, SYNTHETIC_STEPS, plan.loc[~plan["rare"], "label"].to_list())
    limits = axes_limits(points)
    for picture in pictures:
        write_picture(METRICS / "pictures", picture.name, draw_picture(picture, params.labels.names, limits))
    write_points(METRICS / "pictures" / "points.csv", points)
    logger.info("%d pictures of %d points in %s", len(pictures), len(points), METRICS / "pictures")


if __name__ == "__main__":
    run_stage(main)
