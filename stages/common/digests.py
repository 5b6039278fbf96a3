"""SHA-256 of large files, read once: thirty gigabytes of weights are not read again by every stage.

A digest is kept in the cache folder under what the system says of the file: device, inode, size, and the times of the
last change of its content and of its inode, of which nobody can set the last.
"""

from __future__ import annotations

import time
from pathlib import Path

from stages.common.cache import cache_folder
from stages.common.database import Database
from stages.common.sha256 import file_digest

# Two changes within so many seconds may have the same time; a digest from in between must not be kept.
_SETTLED = 2.0


def kept_digest(path: Path) -> bytes:
    """The SHA-256 of a file, which is read unless it is as it was when it was last read."""
    database = Database(cache_folder() / "digests.sqlite", {"digests": "file TEXT PRIMARY KEY, digest BLOB NOT NULL"})
    status = path.stat()
    file = ":".join(map(str, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)))
    for (digest,) in database.execute("SELECT digest FROM digests WHERE file = ?", [file]):
        return bytes(digest)
    began = time.time()
    digest = file_digest(path)
    if began - max(status.st_mtime, status.st_ctime) > _SETTLED:
        database.execute("INSERT OR REPLACE INTO digests VALUES (?, ?)", [file, digest])
    return digest
