"""What weights and code are, by their bytes: a name or a note beside them may be older than they are."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path


def fingerprint(folder: Path, without: Collection[str] = ()) -> str:
    """32 hex digits over names and contents of all files in `folder`, those called as in `without` left out."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in without:
            with path.open("rb") as opened:
                digest.update(str(path.relative_to(folder)).encode() + hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:32]


def code_fingerprint(*files: str | Path) -> str:
    """16 hex digits over the contents of source files: what they compute is another thing once they are edited."""
    return hashlib.sha256(b"\0".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]
