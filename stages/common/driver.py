"""NVIDIA's driver: which there is, and why torch may see no graphics card where the driver shows one."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# The oldest driver for CUDA 13, which torch and vLLM in uv.lock are built with (NVIDIA, CUDA Toolkit 13.0 Release
# Notes, "CUDA Toolkit and Minimum Required Driver Version").
OLDEST = 580
# Newer user-space libraries upon an older driver (NVIDIA, CUDA Compatibility, "Forward Compatibility").
COMPAT = "`apt-get install cuda-compat-13-0` and `export LD_LIBRARY_PATH=/usr/local/cuda-13.0/compat:$LD_LIBRARY_PATH`"
KERNEL_MODULE = Path("/proc/driver/nvidia/version")
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Driver:
    """`version` as in 580.95.05; `cards`: name and memory of each that it shows, none if only its version is known."""

    version: str
    cards: tuple[str, ...] = ()

    @property
    def is_too_old(self) -> bool:
        """Whether CUDA 13 does not run on it by itself."""
        return int(self.version.partition(".")[0]) < OLDEST


def installed_driver() -> Driver | None:
    """What `nvidia-smi` says, or the kernel module, which a container without that command shows; torch is not asked.

    None where there is neither.
    """
    command = ["nvidia-smi", "--query-gpu=driver_version,name,memory.total", "--format=csv,noheader"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        shown = ""
    rows = re.findall(r"^\s*(\d+(?:\.\d+)+), *(.+?)\s*$", shown, re.MULTILINE)
    if rows:
        return Driver(rows[0][0], tuple(card for _, card in rows))
    module = KERNEL_MODULE.read_text(encoding="utf-8") if KERNEL_MODULE.is_file() else ""
    found = re.search(r"Kernel Module\D.*?\s(\d+(?:\.\d+)+)\s", module)
    return Driver(found[1]) if found else None


def why_torch_sees_none(driver: Driver) -> str:
    """Why this environment's torch sees no graphics card though `driver` is there, and what to do, in one line."""
    import torch

    reasons = []
    if torch.version.cuda is None:
        reasons.append("this environment's torch is the build for a processor: `make setup-gpu`")
    if driver.is_too_old:
        reasons.append(
            f"CUDA 13 needs driver {OLDEST} or newer: update it, or, on a data-centre card (T4, L4, A100, H100), "
            f"{COMPAT} before the next command, as torch reads it when it is imported"
        )
    if not reasons:
        hidden = f" ({VISIBLE}={os.environ[VISIBLE]})" if VISIBLE in os.environ else ""
        reasons.append(f"torch says {_torchs_own_words()!r}{hidden}")
    shown = "; ".join(driver.cards) or "no card by name"
    return f"torch sees no graphics card, driver {driver.version} shows {shown}: {'; and '.join(reasons)}"


def _torchs_own_words() -> str:
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return str(error).partition("\n")[0]
    return "no reason"
