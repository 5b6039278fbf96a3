"""Stage `draw`: the seven pictures of real and synthetic reviews, all in one projection."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from stages.common.labels import Labels
from stages.common.provenances import FINAL, SYNTHETIC_STEPS
from stages.drawing.config import Draw
from stages.drawing.pictures import STEP_NAMES, axes_limits, choose_pictures, draw_picture, write_picture, write_points
from stages.drawing.projection import project
from stages.embedding.stored import read_embeddings
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, METRICS, read_table

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    labels: Labels
    draw: Draw


def main() -> None:
    """Read labels, embeddings, plan and the accepted synthetic rows; write `metrics/pictures/`."""
    params = load(Params)
    real = read_table(DATA / "curate/labels.parquet").assign(provenance="real")
    # The last step's table repeats the rows of the steps before it.
    synthetic = read_table(DATA / "synthetic" / FINAL / "accepted.parquet")
    frames = [real, *(synthetic[synthetic["provenance"] == step] for step in SYNTHETIC_STEPS)]
    points = pd.concat([frame[["text", "label", "provenance", "confidence"]] for frame in frames], ignore_index=True)
    points["step"] = points["provenance"].map(STEP_NAMES)
    batches = [read_embeddings(DATA / "synthetic" / FINAL, frame["id"].to_list()) for frame in frames[1:]]
    fitted, placed = project(read_embeddings(DATA / "embed", real["id"].to_list()), batches, params.draw, params.seed)
    points[["x", "y"]] = np.concatenate([fitted, *placed])
    plan = read_table(DATA / "analyse/plan.csv")
    pictures = choose_pictures(points, SYNTHETIC_STEPS, plan.loc[~plan["rare"], "label"].to_list())
    limits = axes_limits(points)
    for picture in pictures:
        write_picture(METRICS / "pictures", picture.name, draw_picture(picture, params.labels.names, limits))
    write_points(METRICS / "pictures" / "points.csv", points)
    logger.info("%d pictures of %d points in %s", len(pictures), len(points), METRICS / "pictures")


if __name__ == "__main__":
    run_stage(main)
