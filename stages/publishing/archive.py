"""Student and dataset in one ZIP."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from stages.publishing.contents import Contents
from stages.running.io import atomic_path
from stages.running.progress import Progress

MIB = 2**20
# The first day that a ZIP can name: the same files are the same bytes, whenever.
NEVER = (1980, 1, 1, 0, 0, 0)


def write_archive(path: Path, parts: Sequence[Contents]) -> None:
    """Write a folder `student/` or `dataset/` for each part into a ZIP, which is there whole or not at all.

    Nothing is compressed: weights and Parquet would not get smaller, and the bytes do not depend on zlib's version.
    """
    total = sum(size for part in parts for size in part.sizes.values())
    with (
        atomic_path(path) as temporary,
        ZipFile(temporary, "w") as archive,
        Progress(str(path), total // MIB, "MiB") as progress,
    ):
        written = 0
        for part in parts:
            for name, size in part.sizes.items():
                given = part.files[name]
                entry = ZipInfo(f"{part.what}/{name}", NEVER)
                entry.create_system, entry.external_attr, entry.file_size = 3, 0o100644 << 16, size
                source = io.BytesIO(given) if isinstance(given, bytes) else given.open("rb")
                # By its size, known beforehand, a large file gets the fields of ZIP64.
                with source, archive.open(entry, "w") as target:
                    while chunk := source.read(MIB):
                        target.write(chunk)
                        progress.update((written + len(chunk)) // MIB - written // MIB)
                        written += len(chunk)
