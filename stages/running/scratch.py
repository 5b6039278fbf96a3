"""Scratch beside what it becomes, and what kill -9 leaves of it.

Whoever works in a scratch file or folder holds a lock on it, which the system lets go of with the process. So what
nobody holds is abandoned, and the next one who needs such scratch removes it.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What tempfile puts into a name.
RANDOM = "[a-z0-9_]" * 8


@contextmanager
def scratch_file(folder: Path, prefix: str, suffix: str) -> Iterator[Path]:
    """Yield an empty file in `folder`, which is removed unless the block has moved it."""
    remove_abandoned(folder, f"{glob.escape(prefix)}{RANDOM}{glob.escape(suffix)}")
    with _held(lambda: _new_file(folder, prefix, suffix)) as path:
        yield path


@contextmanager
def scratch_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield an empty folder in `folder`, which is removed with all that is in it."""
    remove_abandoned(folder, f"{glob.escape(prefix)}{RANDOM}")
    with _held(lambda: Path(tempfile.mkdtemp(dir=folder, prefix=prefix))) as path:
        yield path


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Remove the files and folders in `folder` that match `pattern` and that no process holds."""
    for path in folder.glob(pattern):
        with _unheld(path) as free:
            if free:
                remove(path)


def abandoned(folder: Path, pattern: str) -> list[Path]:
    """What `remove_abandoned` would remove."""
    found = []
    for path in sorted(folder.glob(pattern)):
        with _unheld(path) as free:
            found += [path] if free else []
    return found


@contextmanager
def _unheld(path: Path) -> Iterator[bool]:
    """Yield whether nobody held `path`, which is held meanwhile if so."""
    try:
        held = os.open(path, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except OSError:
            free = False
        yield free
    finally:
        os.close(held)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; what vanishes meanwhile counts for nothing."""
    total = 0
    for part in [path, *path.rglob("*")]:
        with suppress(OSError):
            total += 0 if part.is_symlink() or part.is_dir() else part.stat().st_size
    return total


@contextmanager
def _held(make: Callable[[], Path]) -> Iterator[Path]:
    """Yield what `make` makes, locked; made again where a cleaner came between making and locking."""
    while True:
        path = make()
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY)
            # A file system without locks has nothing cleaned up either.
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                break
            os.close(lock)
    try:
        yield path
    finally:
        remove(path)
        os.close(lock)


def _new_file(folder: Path, prefix: str, suffix: str) -> Path:
    handle, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=suffix)
    os.close(handle)
    return Path(name)
