"""What the doctor says of machines of several kinds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from stages import doctor
from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware.machine import Card, Machine, hub_answers, look
from tests.conftest import ROOT

NONE = Machine("EPYC", 2, ("avx2",), 24.0, 500.0, (), ())
T4 = replace(NONE, cards=(Card("Tesla T4", 14.6, 7.5),))


@pytest.fixture
def gpu_16gb(tmp_path: Path) -> Params:
    return compose(tmp_path / "params.yaml", ["profile=gpu_16gb"], ROOT / "conf")


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    machine = look(tmp_path)
    assert machine.cores >= 1
    assert machine.ram_gib > 0
    assert doctor.describe(machine, hub=False)[-1].endswith("does not answer")


def test_the_default_runs_without_a_card(params: Params) -> None:
    assert doctor.obstacles(params, NONE) == []
    report = "\n".join(doctor.needs(params, NONE))
    assert "download  2.8 GB" in report
    assert "graphics  none" in report
    assert "for 1,000 reviews" in report
    assert re.search(r"whole run about \d+ (min|h).* for 670 reviews", report)
    own = replace(params, data=replace(params.data, path="none.csv"))
    assert "whole run unknown: none.csv does not exist" in "\n".join(doctor.needs(own, NONE))


def test_a_gpu_profile_says_what_is_missing(gpu_16gb: Params) -> None:
    assert "this machine has none" in doctor.obstacles(gpu_16gb, NONE)[0]
    assert doctor.obstacles(gpu_16gb, T4) == []
    assert "28 GB of disk, 5 are free" in doctor.obstacles(gpu_16gb, replace(T4, free_disk_gb=5.0))[0]
    assert "for 1,000 reviews" in "\n".join(doctor.needs(gpu_16gb, T4))
    unknown = replace(NONE, cards=(Card("RTX 9999", 64.0, 12.0),))
    assert "unknown for this card" in "\n".join(doctor.needs(gpu_16gb, unknown))


def test_report_names_the_profile_and_fails_where_it_cannot_run(
    gpu_16gb: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(doctor, "load_all", lambda: gpu_16gb)
    monkeypatch.setattr(doctor, "hub_answers", lambda: True)
    monkeypatch.setattr(doctor, "look", lambda _: T4)
    doctor.main()
    report = capsys.readouterr().out
    assert "params.yaml (profile=gpu_16gb)" in report
    assert "gpu_24gb  it needs graphics cards" in report
    monkeypatch.setattr(doctor, "look", lambda _: NONE)
    with pytest.raises(SystemExit):
        doctor.main()


def test_an_unreachable_hub_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert not hub_answers(timeout=1.0)
