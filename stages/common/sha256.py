"""The SHA-256 of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_digest(path: Path) -> bytes:
    """The SHA-256 of a file, which is read; 32 bytes."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()
