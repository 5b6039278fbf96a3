"""Stage `report`: one page to look at a run, a model card and a dataset card."""

from __future__ import annotations

import logging
from pathlib import Path

from stages.common.config import load
from stages.common.errors import run_stage
from stages.common.io import atomic_path
from stages.common.schema import DATASET
from stages.reporting.figures import figures
from stages.reporting.page import card, page
from stages.reporting.run import read_run

logger = logging.getLogger(__name__)

REPORT = Path("data/report")


def main() -> None:
    """Read metrics, predictions, plan and points; write `data/report/{report.html,model_card.md,dataset_card.md}`."""
    given = figures(read_run(load()))
    structure = (DATASET / "README.md").read_text(encoding="utf-8")
    written = {
        "report.html": page(given),
        "model_card.md": card("model_card.md.jinja", given),
        "dataset_card.md": card("dataset_card.md.jinja", {**given, "structure": structure}),
    }
    for name, content in written.items():
        with atomic_path(REPORT / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    logger.info("open %s in a browser", REPORT / "report.html")


if __name__ == "__main__":
    run_stage(main)
