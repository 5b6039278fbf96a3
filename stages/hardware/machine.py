"""What this machine has."""

from __future__ import annotations

import platform
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from stages.common.driver import Driver, installed_driver, why_torch_sees_none
from stages.hardware.compiler import missing_compiler
from stages.running.peak import physical_cores

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
    """Processor, memory in GiB, graphics cards.

    `no_card`: why torch sees none though NVIDIA's driver is there; `no_compiler`: why nothing can be compiled for one.
    """

    cpu: str
    cores: int
    cpu_flags: tuple[str, ...]
    ram_gib: float
    cards: tuple[Card, ...]
    driver: Driver | None
    no_card: str
    no_compiler: str


def look() -> Machine:
    """Describe this machine."""
    flags = _cpuinfo().get("flags", "").split()
    cards, driver = usable_cards(), installed_driver()
    return Machine(
        cpu=cpu_model(),
        cores=physical_cores(),
        cpu_flags=tuple(flag for flag in CPU_FLAGS if flag in flags),
        ram_gib=psutil.virtual_memory().total / GIB,
        cards=cards,
        driver=driver,
        no_card=why_torch_sees_none(driver) if driver and not cards else "",
        no_compiler=missing_compiler(),
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


def hub_answers(timeout: float = 3.0) -> bool:
    """Whether the model hub (or the mirror that HF_ENDPOINT names) answers within `timeout` seconds."""
    from huggingface_hub import constants

    try:
        with urllib.request.urlopen(constants.ENDPOINT, timeout=timeout):
            return True
    except OSError:
        return False
