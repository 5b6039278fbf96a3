"""Stage `package`: the student in use as a folder to share: with its card, its scores, and an example."""

from __future__ import annotations

import logging
import shutil

from stages.common.links import link_or_copy
from stages.common.manifest import check_manifest
from stages.common.provenances import FINAL
from stages.reporting.figures import figures
from stages.reporting.page import card
from stages.reporting.run import Params, read_run
from stages.running.config import load
from stages.running.errors import ModelError, run_stage
from stages.running.io import DATA, atomic_folder

logger = logging.getLogger(__name__)

TEMPLATES = {"README.md": "model_card.md.jinja", "example.py": "example.py.jinja"}


def main() -> None:
    """Read the run and the student; write `data/student/`."""
    params = load(Params)
    given = figures(read_run(params))
    parts = {DATA / "students" / FINAL: ".", DATA / "export/onnx": "onnx"}
    for source in parts:
        check_manifest(source, ModelError, "run `dvc repro package`")
    with atomic_folder(DATA / "student") as folder:
        for source, part in parts.items():
            # Where the file system can, the same bytes under a second name: an encoder is hundreds of megabytes.
            shutil.copytree(source, folder / part, copy_function=link_or_copy, dirs_exist_ok=True)
        for name, template in TEMPLATES.items():
            (folder / name).write_text(card(template, given), encoding="utf-8")
    logger.info("%s is complete: `dvc push` or copy it; `python -m stages.predict` uses it", DATA / "student")


if __name__ == "__main__":
    run_stage(main)
