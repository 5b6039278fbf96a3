"""What a killed DVC leaves half written or locked, put away before the next run: part of `make repro`.

DVC writes `dvc.lock` and `.dvc/tmp/rwlock` (which process reads or writes which file) in place. Neither holds results:
what stages made comes back from DVC's cache.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import psutil
import yaml
from dvc.exceptions import DvcException
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.strictyaml import load, validate

from stages.running.errors import run_stage

LOCK = Path("dvc.lock")
TEMPORARY = Path(".dvc/tmp")
RWLOCK = TEMPORARY / "rwlock"
# A running DVC writes it within milliseconds.
SECONDS_TO_WRITE = 1.0
# Linux tells when it was booted, from which a process's beginning is counted, in whole seconds.
CLOCK_ERROR = 2.0


def main() -> None:
    """Put away what would stop DVC in this folder, and say so."""
    if RWLOCK.exists() and not _holds(RWLOCK):
        RWLOCK.unlink(missing_ok=True)
        print(f"{RWLOCK} was left by a DVC that was killed: removed", flush=True)
    if LOCK.exists() and not _whole(LOCK):
        TEMPORARY.mkdir(parents=True, exist_ok=True)
        shutil.move(LOCK, TEMPORARY / LOCK.name)
        print(f"{LOCK} was cut off: moved to {TEMPORARY}/", flush=True)


def _holds(path: Path) -> bool:
    """Whether the file can be read and names nobody, or one who runs and may have written it."""
    holders = _holders(path)
    if holders is None:
        time.sleep(SECONDS_TO_WRITE)
        holders = _holders(path)
    return holders is not None and (not holders or any(_began_before(path, holder) for holder in holders))


def _holders(path: Path) -> set[int] | None:
    """The processes that read or write files by `path`; None if it is cut off."""
    try:
        locks = json.loads(path.read_text(encoding="utf-8"))
        writers = list(locks.get("write", {}).values())
        readers = [reader for readers in locks.get("read", {}).values() for reader in readers]
        return {int(process["pid"]) for process in writers + readers}
    except FileNotFoundError:
        return set()
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _began_before(path: Path, process: int) -> bool:
    """Whether it runs since before the file was last written: a number may be another process's by now.

    One that has ended and was not waited for, as in a container without init, runs no more.
    """
    try:
        found = psutil.Process(process)
        ended: bool = found.status() == psutil.STATUS_ZOMBIE
        return not ended and found.create_time() <= path.stat().st_mtime + CLOCK_ERROR
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.Error:
        return True


def _whole(path: Path) -> bool:
    """Whether DVC can read its lock file: by libyaml, which takes a fraction of a second, or else as DVC reads it."""
    try:
        validate(yaml.load(path.read_bytes(), yaml.CSafeLoader), COMPILED_LOCKFILE_SCHEMA)
    except (yaml.YAMLError, DvcException):
        return _read_by_dvc(path)
    return True


def _read_by_dvc(path: Path) -> bool:
    try:
        load(str(path), COMPILED_LOCKFILE_SCHEMA)
    except DvcException:
        return False
    return True


if __name__ == "__main__":
    run_stage(main)
