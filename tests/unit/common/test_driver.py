"""What the driver says is read, and the sentence about a card that torch does not see says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from stages.common import driver
from stages.common.driver import OLDEST, Driver, installed_driver, why_torch_sees_none
from tests.conftest import ROOT

OLD, NEW = "550.54.15, Tesla T4, 15360 MiB\n", "580.95.05, NVIDIA L4, 23034 MiB\n580.95.05, NVIDIA L4, 23034 MiB\n"


@pytest.fixture(autouse=True)
def no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose PATH is one empty folder, and whose kernel has no module of NVIDIA's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(driver, "KERNEL_MODULE", tmp_path / "version")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return folder


def nvidia_smi(folder: Path, says: str, status: int = 0) -> None:
    command = folder / "nvidia-smi"
    command.write_text(f"#!/bin/sh\nprintf '%s' '{says}'\nexit {status}\n")
    command.chmod(0o755)


def test_there_may_be_none() -> None:
    assert installed_driver() is None


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (OLD, Driver("550.54.15", ("Tesla T4, 15360 MiB",))),
        (NEW, Driver("580.95.05", ("NVIDIA L4, 23034 MiB",) * 2)),
        ("No devices were found\n", None),
    ],
    ids=["old", "new", "none"],
)
def test_nvidia_smi_is_asked(says: str, expected: Driver | None, no_driver: Path) -> None:
    nvidia_smi(no_driver, says)
    assert installed_driver() == expected


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n", "535.183.01"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (root@x)\n", "580.65.06"),
    ],
    ids=["closed", "open"],
)
def test_the_kernel_module_is_read_where_nvidia_smi_fails(text: str, version: str, no_driver: Path) -> None:
    nvidia_smi(no_driver, "NVIDIA-SMI has failed", status=9)
    driver.KERNEL_MODULE.write_text(text + "GCC version:  gcc version 12.2.0\n")
    assert installed_driver() == Driver(version)


def test_the_build_for_a_processor_asks_for_the_other_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    says = why_torch_sees_none(Driver("580.95.05", ("NVIDIA L4, 23034 MiB",)))
    assert says.startswith("torch sees no graphics card, driver 580.95.05 shows NVIDIA L4, 23034 MiB: ")
    assert "make setup-gpu" in says
    assert "cuda-compat" not in says
    # Both at once: whoever sets up anew should not learn of the driver only afterwards.
    assert re.search("make setup-gpu.* and CUDA 13 needs driver 580", why_torch_sees_none(Driver("550.54.15")))


def test_an_old_driver_is_updated_or_helped_and_nothing_is_set_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    says = why_torch_sees_none(Driver("550.54.15", ("Tesla T4, 15360 MiB",)))
    assert "driver 580 or newer: update it" in says
    assert "apt-get install cuda-compat-13-0" in says
    assert "export LD_LIBRARY_PATH=/usr/local/cuda-13.0/compat" in says
    assert "setup-gpu" not in says
    assert "\n" not in says


def test_what_is_neither_is_told_in_torchs_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setattr(torch.cuda, "init", _no_gpus)
    says = why_torch_sees_none(Driver("580.95.05"))
    assert "torch says 'No CUDA GPUs are available' (CUDA_VISIBLE_DEVICES=7)" in says
    assert "setup-gpu" not in says


def _no_gpus() -> None:
    raise RuntimeError("No CUDA GPUs are available\nat some line")


def test_the_lock_still_needs_this_driver() -> None:
    """CUDA 13 came with driver 580; who raises the lock to another CUDA looks its driver up."""
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    runtime = re.search(r'name = "nvidia-cuda-runtime"\nversion = "(\d+)', lock)
    assert runtime is not None
    assert (runtime[1], OLDEST) == ("13", 580)
