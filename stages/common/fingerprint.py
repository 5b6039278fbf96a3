"""What weights and code are, by their bytes: a name or a note beside them may be older than they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

from stages.common.manifest import MANIFEST
from stages.common.sha256 import file_digest


def fingerprint(folder: Path, without: Collection[str] = (), digest_of: Callable[[Path], bytes] = file_digest) -> str:
    """32 hex digits over names and contents of all files in `folder`, those called as in `without` left out.

    So is the manifest, which follows from the others. `digest_of` gives the SHA-256 of a file: `kept_digest` where they
    are large and looked at often.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in (MANIFEST, *without):
            digest.update(str(path.relative_to(folder)).encode() + digest_of(path))
    return digest.hexdigest()[:32]


def code_fingerprint(*files: str | Path) -> str:
    """16 hex digits over the contents of source files: what they compute is another thing once they are edited."""
    return hashlib.sha256(b"\0".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]
