"""Questions and answers in Parquet shards, on a file system that all nodes share.

Every answers' file has one writer, is complete once it has its name, and is never changed: nothing is locked but the
run, and no file system has to keep two writers apart, as SQLite's would (its locks and its shared memory do not reach
over a network file system: sqlite.org/wal.html). A shard is named by the model's identity and by the first bits that
the keys of its questions share. Whoever looks for answers reads the files whose bits begin the shard's, or go on from
them: other questions, or another size of shards, find the same answers.

What a replica was answered before it died is in its journal, a line an answer.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.llm.checks import Read
from stages.llm.questions import Question
from stages.running.errors import DataError
from stages.running.io import atomic_path

logger = logging.getLogger(__name__)

# Seconds of answers that a node may lose when its power fails; a process that dies loses none.
SYNC = 1.0
QUESTIONS = pa.schema({"key": pa.string(), "prompt": pa.string(), "question": pa.dictionary(pa.int32(), pa.string())})
ANSWERS = pa.schema({"key": pa.string(), "answer": pa.string()})


@dataclass(frozen=True)
class Shard:
    """Questions in order, and the first bits that their keys share."""

    bits: str
    keys: list[str]
    prompts: list[str]
    questions: list[Question]


class Shards:
    """All shards of questions to the model `identity` below `folder`."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder / hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._questions, self._answers = self.folder / "questions", self.folder / "answers"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One run at a time asks a model: another one waits here, and finds the answers of the first.

        What earlier runs left of their questions goes.

        Raises:
            DataError: nothing can be written or locked in the folder.
        """
        try:
            for folder in (self._questions, self._answers):
                folder.mkdir(parents=True, exist_ok=True)
            held = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataError(f"cannot write to {self.folder}: {error}; name another execute.folder") from error
        try:
            self._lock(held)
            shutil.rmtree(self._questions)
            self._questions.mkdir()
            yield
        finally:
            os.close(held)

    def _lock(self, held: int) -> None:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another run asks the same model (%s); this one waits for its answers", self.folder)
            fcntl.flock(held, fcntl.LOCK_EX)
        except OSError as error:
            raise DataError(
                f"{self.folder} cannot be locked ({error}): mount it with locks, or name another execute.folder"
            ) from error

    def ask(self, shard: Shard) -> Path:
        """Write the questions of `shard`; the file."""
        name = hashlib.sha256("".join(shard.keys).encode()).hexdigest()[:16]
        path = self._questions / f"b{shard.bits}-{name}.parquet"
        questions = [json.dumps(question) for question in shard.questions]
        _write(path, QUESTIONS, [shard.keys, shard.prompts, questions])
        return path

    def known(self, bits: str, keys: Collection[str], read: Read[Any]) -> dict[str, str]:
        """What files and journals have of the answers to `keys`, which begin with `bits`: those that `read` takes."""
        wanted, found = set(keys), dict[str, str]()
        for path in sorted(self._answers.glob("b*")):
            theirs = _bits(path)
            if theirs.startswith(bits) or bits.startswith(theirs):
                for key, answer in _read(path):
                    with suppress(ValueError):
                        if key in wanted and read(answer):
                            found[key] = answer
        return found

    @contextmanager
    def journal(self, bits: str) -> Iterator[Callable[[str, str], None]]:
        """Yield what keeps an answer (key, answer) of a shard from now on, whatever becomes of the process."""
        path = self._answers / f"b{bits}-{_writer()}.jsonl"
        synced = time.monotonic()
        with path.open("ab", buffering=0) as file:

            def keep(key: str, answer: str) -> None:
                nonlocal synced
                # One write: a killed process leaves its line whole or none.
                file.write(json.dumps([key, answer]).encode() + b"\n")
                if time.monotonic() - synced > SYNC:
                    os.fsync(file.fileno())
                    synced = time.monotonic()

            yield keep
        path.unlink()

    def deaths(self, questions: Path) -> int:
        """How many journals of the shard in `questions` were begun since it was written, and not ended."""
        journals = self._answers.glob(f"b{_bits(questions)}-*.jsonl")
        return sum(journal.stat().st_mtime_ns >= questions.stat().st_mtime_ns for journal in journals)

    def finish(self, bits: str, answers: dict[str, str]) -> Path:
        """Write all `answers` of a shard; the file."""
        path = self._answers / f"b{bits}-{_writer()}.parquet"
        _write(path, ANSWERS, [list(answers), list(answers.values())])
        return path

    def journalled(self, read: dict[Path, int]) -> Iterator[tuple[str, str]]:
        """Yield (key, answer) of what was added to the journals since `read` (file -> bytes), which is brought up."""
        for path in self._answers.glob("*.jsonl"):
            with suppress(FileNotFoundError), path.open("rb") as file:
                file.seek(read.get(path, 0))
                for line in file:
                    if line.endswith(b"\n"):
                        read[path] = read.get(path, 0) + len(line)
                        yield from _of_line(line)


def divided(keys: Sequence[str], about: int) -> dict[str, list[str]]:
    """`keys` by their first bits: so many bits as leave `about` keys a shard or fewer, on average."""
    count = max(0, math.ceil(math.log2(max(1, len(keys)) / about)))
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(f"{int(key[:16], 16):064b}"[:count], []).append(key)
    return dict(sorted(found.items()))


def read_shard(path: Path) -> Shard:
    """The questions that `Shards.ask` wrote."""
    columns = pq.read_table(path, schema=QUESTIONS).to_pydict()
    questions = [json.loads(question) for question in columns["question"]]
    return Shard(_bits(path), columns["key"], columns["prompt"], questions)


def read_answers(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (key, answer) of a file that `Shards.finish` wrote, some thousand rows in memory at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from zip(*batch.to_pydict().values(), strict=True)


def _read(path: Path) -> Iterator[tuple[str, str]]:
    """What can be read of a file of answers: what cannot is asked for again."""
    try:
        if path.suffix == ".parquet":
            yield from read_answers(path)
        elif path.suffix == ".jsonl":
            with path.open("rb") as file:
                for line in file:
                    yield from _of_line(line)
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read (%s); its answers are asked for again", path, error)


def _of_line(line: bytes) -> Iterator[tuple[str, str]]:
    # The last line of a node without power may be cut off.
    with suppress(ValueError):
        key, answer = json.loads(line)
        yield key, answer


def _write(path: Path, schema: pa.Schema, columns: list[list[str]]) -> None:
    with atomic_path(path) as temporary:
        arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
        pq.write_table(pa.table(arrays, schema=schema), temporary, compression="zstd")


def _bits(path: Path) -> str:
    return path.name.partition("-")[0].removeprefix("b")


def _writer() -> str:
    """A name that no other process on any node has, nor this one a second time."""
    return f"{platform.node()}-{os.getpid()}-{time.time_ns()}"
