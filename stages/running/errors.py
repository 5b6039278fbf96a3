"""The few kinds of failure a user can meet.

Every message names the file, row, key or value at fault and says what to do about it.
`run_stage` turns them into one line on standard error, so that no user sees a traceback for bad input.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from stages.running.interruption import ANEW, ends_within_seconds
from stages.running.progress import silence_libraries
from stages.running.record import recorded

# What a disk says that takes no more; anything else that an OSError may mean is a fault of the code.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# What libraries below torch say of a graphics card without memory, in errors without a kind of their own.
_CARD = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "[CUDA]: out of memory")


class RazmetkaError(Exception):
    """Base of the failures that are explained in one line."""


class ConfigError(RazmetkaError):
    """The configuration cannot be used: an unknown key, a wrong type, an impossible value."""


class DataError(RazmetkaError):
    """An input file cannot be used."""


class ModelError(RazmetkaError):
    """Model weights cannot be fetched, verified or converted."""


class BackendError(RazmetkaError):
    """A teacher backend failed. `retryable` tells whether asking again can help."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


def lacks_memory(error: BaseException) -> bool:
    """Whether `error` says that a graphics card has no memory left."""
    # Who has not imported torch has asked no card.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _CARD)


@contextmanager
def card_memory(remedy: str) -> Iterator[None]:
    """Say what helps where the graphics card's memory does not suffice for what is done within.

    Raises:
        ConfigError: it does not; the message ends with `remedy`, which names settings.
    """
    try:
        yield
    except Exception as error:
        if not lacks_memory(error):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]
        raise ConfigError(f"the graphics card's memory does not suffice ({reason}): {remedy}") from error


def run_stage(main: Callable[[], None], kept: str = ANEW) -> None:
    """Run a stage's `main` with logging set up; explain known failures in one line and exit 1.

    `kept` is what an interrupted one says (see `interruption.keeps`). What it took is told and recorded where DVC runs
    it.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # Libraries that announce every request or font drown the stage's own lines.
    for noisy in ("httpx2", "fontTools", "matplotlib", "datasets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    silence_libraries()
    stage = os.environ.get("DVC_STAGE")
    with ends_within_seconds(kept):
        try:
            smaller = "end what else runs on the card, or lower the batch_size of what this computes"
            with recorded(stage) if stage else nullcontext(), card_memory(smaller):
                main()
        except RazmetkaError as error:
            sys.exit(f"{type(error).__name__}: {error}")
        except OSError as error:
            if error.errno not in _DISK:
                raise
            where = f" ({error.filename})" if error.filename else ""
            sys.exit(f"{error.strerror}{where}: make room, or let it be written to, and the same command goes on")
