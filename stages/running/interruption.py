"""Ctrl-C and SIGTERM: a command ends within seconds, with one line that is true of it and code 130 or 143.

It imports next to nothing: `stages/__init__.py` calls `leave_at_once` before a command's own imports begin.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]

ENDING = (signal.SIGINT, signal.SIGTERM)
# Seconds that a command has for leaving what it is in the middle of: a library may swallow an exception, or wait.
GRACE = 5.0
# Linux: the signal for a process whose parent has died.
PR_SET_PDEATHSIG = 1

ANEW = "It is not done; the same command starts it anew."
# What is true if the command is ended now.
_kept = "It had not begun."


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command; the argument is its number."""


def leave_at_once() -> None:
    """End without a traceback from now on: imports leave nothing to put in order, and swallow exceptions."""
    _handle(_leave)


@contextmanager
def ends_within_seconds(kept: str) -> Iterator[None]:
    """Raise `Interrupted` in the block when a signal comes; leave the process with its code, and the line with `kept`.

    Whatever the block makes of the exception; one that is still there after `GRACE` seconds is left as it is.
    """
    keeps(kept)
    _die_with_dvc()
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        # Whoever presses again means it.
        _handle(_leave)
        raise Interrupted(number)

    _watch()
    _handle(interrupt)
    try:
        yield
    except BaseException as error:
        if came or isinstance(error, KeyboardInterrupt):
            sys.exit(_told(came[0] if came else signal.SIGINT))
        raise


def keeps(sentence: str) -> None:
    """Say from now on what an interrupted command has kept, and how to go on."""
    global _kept
    _kept = sentence


def _handle(handler: Handler) -> None:
    for number in ENDING:
        # A job in the background of a script is started with Ctrl-C ignored, for it is meant for another one.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None = None) -> None:
    os._exit(_told(number))


def _told(number: int) -> int:
    """Print the line; return the exit code."""
    name = "Interrupted" if number == signal.SIGINT else "Terminated"
    # Unbuffered: the signal may have come in the middle of a write. A terminal has its ^C or a bar on the line.
    os.write(2, f"{os.linesep if os.isatty(2) else ''}{name}. {_kept}\n".encode())
    return 128 + number


def _watch() -> None:
    """Let a thread end the process if the main one does not, as in a library's code, where no handler is run."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait() -> None:
        while (number := os.read(reader, 1)[0]) not in ENDING:
            pass
        time.sleep(GRACE)
        _leave(number)

    threading.Thread(target=wait, daemon=True).start()


def _die_with_dvc() -> None:
    """A stage ends with the DVC that runs it: it would go on unseen, and meet the one that the next run starts."""
    if os.environ.get("DVC_STAGE"):
        # Imported here: what comes before the handlers of signals is as short as can be.
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
