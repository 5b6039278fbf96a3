"""What this machine has."""

from __future__ import annotations

import platform
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from stages.common.peak import physical_cores

GIB = 2**30
# Instruction sets that decide how fast a processor multiplies matrices, the best first.
CPU_FLAGS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")


@dataclass(frozen=True)
class Card:
    """A graphics card that torch can use; `capability` is CUDA's compute capability, 7.5 for a T4."""

    name: str
    gib: float
    capability: float


@dataclass(frozen=True)
class Machine:
    """Processor, memory in GiB, free disk in GB, graphics cards.

    `unusable_cards` are those that the driver shows (`nvidia-smi`) while torch sees none.
    """

    cpu: str
    cores: int
    cpu_flags: tuple[str, ...]
    ram_gib: float
    free_disk_gb: float
    cards: tuple[Card, ...]
    unusable_cards: tuple[str, ...]


def look(folder: Path = Path()) -> Machine:
    """Describe this machine; the free disk is that of the file system that holds `folder`."""
    flags = _cpuinfo().get("flags", "").split()
    cards = usable_cards()
    return Machine(
        cpu=cpu_model(),
        cores=physical_cores(),
        cpu_flags=tuple(flag for flag in CPU_FLAGS if flag in flags),
        ram_gib=psutil.virtual_memory().total / GIB,
        free_disk_gb=shutil.disk_usage(folder.absolute()).free / 1e9,
        cards=cards,
        unusable_cards=() if cards else driver_cards(),
    )


def cpu_model() -> str:
    """The processor's name."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def usable_cards() -> tuple[Card, ...]:
    """Graphics cards that this environment's torch can use."""
    # Imported here: whoever needs no card need not wait for it.
    import torch

    if not torch.cuda.is_available():
        return ()
    properties = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return tuple(Card(p.name, p.total_memory / GIB, float(f"{p.major}.{p.minor}")) for p in properties)


def driver_cards() -> tuple[str, ...]:
    """Names and memory of the NVIDIA cards that the driver knows; empty where there is no driver."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in shown.splitlines() if line.strip())


def hub_answers(timeout: float = 3.0) -> bool:
    """Whether the model hub (or the mirror that HF_ENDPOINT names) answers within `timeout` seconds."""
    from huggingface_hub import constants

    try:
        with urllib.request.urlopen(constants.ENDPOINT, timeout=timeout):
            return True
    except OSError:
        return False
