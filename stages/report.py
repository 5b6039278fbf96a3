"""Stage `report`: pages to look at a run, and a card for its dataset."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.latency.config import Front
from stages.latency.front import Kind, front
from stages.listing.doubtful import doubtful
from stages.reporting import run
from stages.reporting.figures import figures
from stages.reporting.page import card, page
from stages.reporting.run import Run, read_run
from stages.running.config import load, section
from stages.running.errors import DataError, run_stage
from stages.running.io import DATA, atomic_path, read_json, read_table

logger = logging.getLogger(__name__)


@section
class Params(run.Params):
    """The settings that the pages show, and the front that they show them beside."""

    front: Front


def main() -> None:
    """Read metrics, predictions, plan and points; write `data/report/{report,doubtful}.html` and `dataset_card.md`."""
    params = load(Params)
    made = read_run(params)
    given = figures(made)
    counts = read_json(DATA / "doubt/counts.json")
    structure = (DATA / "dataset/README.md").read_text(encoding="utf-8")
    in_doubt = doubtful(read_table(DATA / "doubt/reviews.parquet"), counts)
    written = {
        "report.html": page({**given, "front": measured_front(made, params.front), "doubt": counts}),
        "doubtful.html": page(in_doubt, "doubtful.html.jinja", "reviews.js"),
        "dataset_card.md": card("dataset_card.md.jinja", {**given, "structure": structure}),
    }
    for name, content in written.items():
        with atomic_path(DATA / "report" / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    logger.info("open %s in a browser", DATA / "report/report.html")


def measured_front(made: Run, settings: Front) -> Mapping[str, Any]:
    """The front that `front.measured` names, with the student of the run marked.

    Raises:
        DataError: the file is no record of `benchmarks.front`.
    """
    params = made.params
    in_use = Kind(params.models["student"].name, params.distil.into is not None, params.train.epochs > 0)
    try:
        return front(read_json(Path(settings.measured)), in_use, "int8" if made.export["passed"] else "fp32")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"front.measured={settings.measured} is no record of `python -m benchmarks.front` ({error!r}); restore it "
            "from Git, or compose with front=none"
        ) from error


if __name__ == "__main__":
    run_stage(main)
