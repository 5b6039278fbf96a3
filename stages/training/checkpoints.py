"""Where a training run leaves its checkpoints, and how the next attempt finds them."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.common.cache import cache_folder
from stages.common.fingerprint import fingerprint
from stages.running.io import read_json, write_json

logger = logging.getLogger(__name__)

SEAL = "seal.json"
# What transformers writes last.
STATE = "trainer_state.json"


def run_folder(settings: Mapping[str, Any], *tables: Iterable[Mapping[str, Any]]) -> Path:
    """Folder for the checkpoints of the run with these settings, what names the starting weights among them, and rows.

    The name is a fingerprint of both, so that only a run that would do the same goes on from them.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode())
    for table in tables:
        for row in table:
            digest.update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode())
        digest.update(b"\0")
    return cache_folder() / "checkpoints" / digest.hexdigest()[:16]


def seal(checkpoint: Path) -> None:
    """Note what a checkpoint that was written to its end holds, by which `last_whole` knows it again."""
    write_json(checkpoint / SEAL, {"fingerprint": fingerprint(checkpoint, without=[SEAL])})


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint in `folder` from which training ends as if it had never stopped, if any.

    Later ones are removed, with a warning where they were damaged: a training that begins before them would take them
    for its own.
    """
    numbered = {
        int(path.name.removeprefix("checkpoint-")): path for path in folder.glob("checkpoint-[0-9]*") if path.is_dir()
    }
    for _, path in sorted(numbered.items(), reverse=True):
        # In the end the best epoch is loaded, which an earlier checkpoint may have.
        best = read_json(path / STATE)["best_model_checkpoint"] if _is_whole(path) else None
        if best and _is_whole(folder / Path(best).name):
            return path
        logger.warning("%s is incomplete or damaged, or the best epoch before it is: removed", path)
        shutil.rmtree(path)
    return None


def _is_whole(checkpoint: Path) -> bool:
    """Whether it was sealed, and is as it was then; the seal of a run that was killed while saving is missing."""
    try:
        sealed = read_json(checkpoint / SEAL)
    except (OSError, ValueError):
        return False
    return bool(sealed == {"fingerprint": fingerprint(checkpoint, without=[SEAL])})
