"""A list of the files that belong together in a folder, to see later whether they still do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from stages.common.sha256 import file_digest
from stages.running.errors import ModelError, RazmetkaError

MANIFEST = "manifest.json"
# Beyond it a file is known by its size alone: to read gigabytes of weights takes as long as to use them.
HASHED_BYTES = 2**26


def write_manifest(folder: Path, names: Iterable[str] | None = None) -> None:
    """Write `manifest.json`: size and SHA-256 of the files `names`, or of all that are in `folder`."""
    everything = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    listed = sorted(everything if names is None else names)
    files = {name: _described(folder / name) for name in listed if name != MANIFEST}
    # Not written over: the file may be another folder's too, under a second name.
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / MANIFEST).write_text(json.dumps(files, indent=2) + "\n", encoding="ascii")


def check_manifest(folder: Path, error: type[RazmetkaError], remedy: str) -> None:
    """Raise `error`, which names the file and the `remedy`, unless the files are those of the manifest.

    A tokenizer or labels that are not the model's own would be answered with all the same, and wrongly.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise error(f"{path} is missing; {remedy}")
    try:
        files = {name: (file["bytes"], file["sha256"]) for name, file in json.loads(path.read_bytes()).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as reason:
        raise error(f"{path} is damaged ({reason}); {remedy}") from reason
    for name, (size, digest) in files.items():
        if not (folder / name).is_file():
            raise error(f"{folder / name} is missing; {remedy}")
        found = (folder / name).stat().st_size
        if found != size:
            raise error(f"{folder / name} is not what was written: {found} bytes instead of {size}; {remedy}")
        if digest is not None and file_digest(folder / name).hex() != digest:
            raise error(f"{folder / name} is not what was written: another SHA-256; {remedy}")


def check_weights(folder: Path) -> None:
    """See that the files of a folder of weights are those that were written.

    Raises:
        ModelError: one is missing, cut or another one.
    """
    # A folder that was not made here has no list of its files.
    if (folder / MANIFEST).is_file():
        check_manifest(folder, ModelError, "run `dvc repro models distil`")


def _described(path: Path) -> dict[str, int | str | None]:
    size = path.stat().st_size
    return {"bytes": size, "sha256": file_digest(path).hex() if size <= HASHED_BYTES else None}
