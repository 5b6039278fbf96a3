"""One training in several processes of this machine: this one is the first, the others are started beside it."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any

import torch
from accelerate.state import AcceleratorState
from accelerate.utils import check_cuda_p2p_ib_support
from torch.multiprocessing.spawn import start_processes

from stages.running.config import require
from stages.running.interruption import PR_SET_PDEATHSIG

logger = logging.getLogger(__name__)

# Seconds in which a process that failed can be told from those that only miss it.
FAILING = 5.0


def require_cards(processes: int) -> None:
    """Raise `ConfigError` where several processes would have to share a graphics card; say if cards are left over."""
    cards = torch.cuda.device_count()
    require(processes <= cards or not cards, f"train.processes={processes}, but there are {cards} graphics cards")
    if cards > processes:
        logger.info("%d of %d graphics cards are used; train.processes says how many", processes, cards)


@contextmanager
def alongside(others: int, work: Callable[..., object], *arguments: Any) -> Iterator[None]:
    """Be the first of 1 + `others` processes; each of the others does `work(*arguments)` while the block runs.

    All find in their environment what `torchrun` would set there, by which transformers' `Trainer` knows of the others.
    They end with this process, however it ends.

    Raises:
        torch.multiprocessing.ProcessException: one of the others failed; with its traceback, or what killed it.
    """
    if not others:
        yield
        return
    with _environment(1 + others):
        started = start_processes(_help, (work, arguments), nprocs=others, join=False, daemon=True)  # type: ignore[no-untyped-call]
        try:
            yield
            _leave()
            while not started.join():
                pass
        except Exception:
            # Where another one failed, this one only heard no more from it.
            started.join(timeout=FAILING)
            raise
        finally:
            for process in started.processes:
                process.kill()
                process.join()
            _leave()
            AcceleratorState._reset_state(reset_partial_state=True)


def _help(index: int, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C in a terminal is for all of them, and the first one sees to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    first = parent_process()
    if first is None or os.getppid() != first.pid:
        return  # it ended before it could be said that this one ends with it
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(1 + index)
    work(*arguments)
    _leave()


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def _environment(processes: int) -> Iterator[None]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wanted: Mapping[str, object] = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": processes,
        "LOCAL_WORLD_SIZE": processes,
        "RANK": 0,
        "LOCAL_RANK": 0,
        "OMP_NUM_THREADS": max(1, torch.get_num_threads() // processes),
    }
    if torch.cuda.is_available() and not check_cuda_p2p_ib_support():
        # As accelerate's launcher does: these cards cannot write into one another's memory.
        wanted = {**wanted, "NCCL_P2P_DISABLE": 1, "NCCL_IB_DISABLE": 1}
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in wanted.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
