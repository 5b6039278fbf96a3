"""Stage `report`: one page to look at a run, and a card for its dataset."""

from __future__ import annotations

import logging

from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import DATA, atomic_path
from stages.reporting.figures import figures
from stages.reporting.page import card, page
from stages.reporting.run import Params, read_run

logger = logging.getLogger(__name__)


def main() -> None:
    """Read metrics, predictions, plan and points; write `data/report/{report.html,dataset_card.md}`."""
    given = figures(read_run(load(Params)))
    structure = (DATA / "dataset/README.md").read_text(encoding="utf-8")
    written = {
        "report.html": page(given),
        "dataset_card.md": card("dataset_card.md.jinja", {**given, "structure": structure}),
    }
    for name, content in written.items():
        with atomic_path(DATA / "report" / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    logger.info("open %s in a browser", DATA / "report/report.html")


if __name__ == "__main__":
    run_stage(main)
