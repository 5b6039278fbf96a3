"""Where a training run leaves its checkpoints, and how the next attempt finds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.common.cache import cache_folder


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


def last_complete(folder: Path) -> Path | None:
    """The newest checkpoint in `folder` that was written to its end, if any."""
    numbered = {int(path.name.removeprefix("checkpoint-")): path for path in folder.glob("checkpoint-*")}
    for _, path in sorted(numbered.items(), reverse=True):
        # transformers writes the state last: without it, or with half of it, the run was killed while saving.
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            continue
        return path
    return None
