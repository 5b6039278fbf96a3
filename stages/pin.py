"""Pin the models of conf/ that name a branch or tag of the hub to a commit: `python -m stages.pin`."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import OmegaConf

from stages.running.errors import run_stage
from stages.running.io import atomic_path
from stages.weights.hub import commit, is_commit

logger = logging.getLogger(__name__)

CATALOGUE = Path("conf/models/catalogue")


def main() -> None:
    """Rewrite the `revision:` of every unpinned model; comments and the other lines stay as they are."""
    unpinned = [path for path in sorted(CATALOGUE.glob("*.yaml")) if _is_unpinned(path)]
    for path in unpinned:
        model = OmegaConf.load(path)
        found = commit(model.repo, model.revision)
        lines = path.read_text(encoding="utf-8").splitlines()
        pinned = [f"revision: {found}" if line.startswith("revision:") else line for line in lines]
        with atomic_path(path) as temporary:
            temporary.write_text("\n".join(pinned) + "\n", encoding="utf-8")
        logger.info("%s: %s is %s", path, model.revision, found)
    if unpinned:
        logger.info("compose params.yaml anew: `make params`, with the same SET as before")
    else:
        logger.info("every model of the hub in %s is pinned", CATALOGUE)


def _is_unpinned(path: Path) -> bool:
    model = OmegaConf.load(path)
    sources = [model.source] if isinstance(model.source, str) else model.source
    return "hub" in sources and not is_commit(model.revision)


if __name__ == "__main__":
    run_stage(main)
