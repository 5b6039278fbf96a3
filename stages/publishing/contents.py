"""Which files are passed on: those that manifests list, the cards, and a notice of whose terms hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stages.common.manifest import MANIFEST, check_manifest
from stages.publishing.errors import PublishError
from stages.running.io import DATA, read_json

NOTICE = "NOTICE"
# What stands beside the files of the manifests, by what is shared.
CARDS = {"student": ("README.md", "example.py"), "dataset": ("README.md",)}
# The kinds of repositories on the hub.
KINDS = {"student": "model", "dataset": "dataset"}


@dataclass(frozen=True)
class Contents:
    """`what` is student or dataset; `files` by their names there, sorted; a text that lies nowhere is bytes."""

    what: str
    files: dict[str, Path | bytes]

    @property
    def kind(self) -> str:
        """The kind of its repository on the hub."""
        return KINDS[self.what]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {
            name: len(given) if isinstance(given, bytes) else given.stat().st_size for name, given in self.files.items()
        }


def contents(what: str, notice: str, data: Path = DATA) -> Contents:
    """The files of `data/<what>`, which are whole, with `notice` as a file of its own.

    What else lies in the folder is not among them.

    Raises:
        PublishError: a file is missing or is not the one that was written; the message names it.
    """
    folder, remedy = data / what, f"run `dvc repro {'package' if what == 'student' else 'dataset'}`"
    names = set(CARDS[what])
    for manifest in _manifests(folder):
        check_manifest(manifest.parent, PublishError, remedy)
        inside = manifest.parent.relative_to(folder)
        names |= {(inside / name).as_posix() for name in (MANIFEST, *read_json(manifest))}
    for name in CARDS[what]:
        if not (folder / name).is_file():
            raise PublishError(f"{folder / name} is missing; {remedy}")
    files: dict[str, Path | bytes] = {name: folder / name for name in names}
    files[NOTICE] = notice.encode()
    return Contents(what, dict(sorted(files.items())))


def _manifests(folder: Path) -> Iterator[Path]:
    yield folder / MANIFEST
    yield from sorted(folder.glob(f"*/{MANIFEST}"))
