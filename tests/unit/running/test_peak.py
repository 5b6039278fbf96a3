from __future__ import annotations

import os

import pytest
import torch

from stages.running import peak


@pytest.mark.parametrize(("quota", "expected"), [("max 100000\n", 4), ("150000 100000\n", 2), ("1000 100000\n", 1)])
def test_a_containers_share_of_the_time_counts(tmp_path, monkeypatch, quota, expected):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(peak, "QUOTA", tmp_path / "cpu.max")
    # Processors that this machine does not have are cores of their own.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {9000, 9001, 9002, 9003})
    assert peak.physical_cores() == expected


def test_without_control_groups_the_processors_that_it_may_use_count(tmp_path, monkeypatch):
    monkeypatch.setattr(peak, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {9000})
    assert peak.physical_cores() == 1


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_on_a_card_auto_is_a_dtype_by_its_name(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert peak.engine_dtype("auto") == expected
    # Seconds are told by it.
    assert isinstance(getattr(torch, peak.engine_dtype("auto")), torch.dtype)
