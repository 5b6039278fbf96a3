"""What this machine has to compute with: its cores, and what they reach at best, measured in about a second.

By that, work can be told in seconds. Reading a prompt is bound by matrix products, writing token by token by the memory
that the weights are read from.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

# Seconds that a measurement may take, beyond its first call.
BUDGET = 0.4
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def physical_cores() -> int:
    """The cores that this process may use, at least 1: two threads of one core get in each other's way.

    A container may have a share of the processors' time instead of processors of its own.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    siblings = (Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list") for cpu in os.sched_getaffinity(0))
    cores = len({path.read_text() if path.is_file() else path for path in siblings})
    return min(cores, _quota() or cores)


def _quota() -> int | None:
    """The control group's share in whole processors, if it has one (kernel's cgroup-v2.rst, "CPU Interface Files")."""
    if not QUOTA.is_file():
        return None
    share, period = QUOTA.read_text(encoding="ascii").split()
    return None if share == "max" else max(1, math.ceil(int(share) / int(period)))


@cache
def matmul_rate(dtype: str) -> float:
    """Operations a second of a square matrix product in `dtype` (bfloat16, float32, …), the best of several.

    On the graphics card if there is one.
    """
    import torch

    # What fits the caches of a processor; a card needs more to be busy.
    size = 8192 if torch.cuda.is_available() else 1024
    left, right = (torch.ones(size, size, device=_device(), dtype=getattr(torch, dtype)) for _ in range(2))
    return 2 * size**3 / _best_seconds(lambda: left @ right)


@cache
def memory_rate() -> float:
    """Bytes a second that the product of two long vectors reads."""
    import torch

    left, right = torch.ones(2, 2**25, device=_device())
    size: int = left.nbytes + right.nbytes
    return size / _best_seconds(lambda: torch.dot(left, right))


def engine_dtype(wanted: str) -> str:
    """What `vllm.dtype` comes to here.

    `auto` is bfloat16 where it is computed with; on a card before Ampere float16, and on a processor without it
    float32, as vLLM would fall back to a far slower path.
    """
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.get_device_capability() >= (8, 0) else "float16"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "float32"


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _best_seconds(compute: Callable[[], Any]) -> float:
    """Seconds of the fastest call within the budget; the first one, which sets up, does not count."""
    import torch

    def seconds() -> float:
        start = time.perf_counter()
        compute()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start

    seconds()
    best, end = seconds(), time.perf_counter() + BUDGET
    while time.perf_counter() < end:
        best = min(best, seconds())
    return best
