"""What a service is made of: the student, what lies beside it, the names it answers to, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Names of this machine for itself: a page of another site cannot make its own lead here (DNS rebinding).
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Limits:
    """What is taken at most; more is refused by 413 or, where waiting helps, by 503.

    Of a request to classify: its `texts`, the `characters` of each, the bytes of its `body`. Of a table: its `rows`,
    the bytes of the `file`, the MiB that it unpacks to, and how many `tables` are answered at a time. Of all together:
    texts that are `waiting`, open `requests`. `seconds` is what a body may take to come.
    """

    texts: int = 1000
    characters: int = 100_000
    body: int = 2**22
    rows: int = 10_000
    file: int = 2**24
    unpacked_mib: int = 64
    tables: int = 4
    waiting: int = 2000
    requests: int = 256
    seconds: float = 60.0


@dataclass(frozen=True)
class Settings:
    """`model` is a student's folder, or None for a service that classifies nothing.

    `index` may be missing: there are no nearest examples then. `answers` is where people's answers go; the batch that
    they are asked lies beside it, and they choose among `categories`. The service answers requests to `hosts` alone,
    names without a port; `*` is any. `batch_size` texts are computed at a time.
    """

    model: Path | None
    index: Path = Path("data/index")
    answers: Path = Path("annotations/answers.csv")
    categories: tuple[str, ...] = ()
    hosts: tuple[str, ...] = LOOPBACK
    batch_size: int = 16
    limits: Limits = Limits()
