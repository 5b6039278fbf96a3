"""What the doctor says of machines of several kinds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from stages import doctor
from stages.common.driver import Driver, why_torch_sees_none
from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware.disk import MOVED_BY, Volume
from stages.hardware.machine import Card, Machine, hub_answers, look
from tests.conftest import ROOT

NONE = Machine("EPYC", 2, ("avx2",), 24.0, (), None, "", "")
T4 = replace(NONE, cards=(Card("Tesla T4", 14.6, 7.5),), driver=Driver("580.95.05", ("Tesla T4, 15360 MiB",)))
DISKS = [Volume(500.0, tuple(MOVED_BY), Path("/disk"))]


@pytest.fixture
def gpu_16gb(tmp_path: Path) -> Params:
    return compose(tmp_path / "params.yaml", ["profile=gpu_16gb"], ROOT / "conf")


def test_this_machine_can_be_looked_at() -> None:
    machine = look()
    assert machine.cores >= 1
    assert machine.ram_gib > 0
    assert doctor.describe(machine, DISKS, hub=False)[-1].endswith("does not answer")


def test_the_machine_is_described_with_its_driver_and_its_compiler() -> None:
    report = "\n".join(doctor.describe(replace(T4, no_compiler="there is no C compiler"), DISKS, hub=True))
    assert "Tesla T4, 14.6 GiB, compute capability 7.5; driver 580.95.05 (CUDA 13 needs 580)" in report
    assert "compiler    there is no C compiler" in report
    assert "free disk 500 GB at /disk" in report


def test_the_default_runs_without_a_card(params: Params) -> None:
    # Nothing is compiled where there is no card.
    assert doctor.obstacles(params, replace(NONE, no_compiler="there is no C compiler"), DISKS) == []
    report = "\n".join(doctor.needs(params, NONE, DISKS))
    assert "download  2.8 GB" in report
    assert "graphics  none" in report
    assert "for 1,000 reviews" in report
    assert re.search(r"whole run about \d+ (min|h).* for 670 reviews", report)
    own = replace(params, data=replace(params.data, path="none.csv"))
    assert "whole run unknown: none.csv does not exist" in "\n".join(doctor.needs(own, NONE, DISKS))


def test_a_gpu_profile_says_what_is_missing(gpu_16gb: Params) -> None:
    assert "this machine has none" in doctor.obstacles(gpu_16gb, NONE, DISKS)[0]
    assert doctor.obstacles(gpu_16gb, T4, DISKS) == []
    assert "for 1,000 reviews" in "\n".join(doctor.needs(gpu_16gb, T4, DISKS))


def test_a_card_that_nobody_measured_gets_no_estimate(gpu_16gb: Params) -> None:
    l40s = replace(T4, cards=(Card("NVIDIA L40S", 44.5, 8.9),))
    report = "\n".join(doctor.needs(gpu_16gb, l40s, DISKS))
    assert "no estimate for NVIDIA L40S" in report
    assert "for 1,000 reviews" not in report
    assert "no estimate for a machine whose torch sees no card" in "\n".join(doctor.needs(gpu_16gb, NONE, DISKS))
    unknown = replace(gpu_16gb, models={**gpu_16gb.models, "teacher": replace(gpu_16gb.models["teacher"], name="x")})
    assert "no estimate for these models" in "\n".join(doctor.needs(unknown, T4, DISKS))


def test_an_old_driver_is_the_obstacle_and_not_the_environment(
    gpu_16gb: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.version.cuda", "13.0")
    old = Driver("550.54.15", ("Tesla T4, 15360 MiB",))
    colab = replace(NONE, driver=old, no_card=why_torch_sees_none(old))
    [fault] = doctor.obstacles(gpu_16gb, colab, DISKS)
    assert "cuda-compat-13-0" in fault
    assert "setup-gpu" not in fault
    shown = "Tesla T4, 15360 MiB, which torch does not see; driver 550.54.15 (CUDA 13 needs 580)"
    assert shown in "\n".join(doctor.describe(colab, DISKS, hub=True))


def test_a_missing_compiler_is_an_obstacle(gpu_16gb: Params) -> None:
    [fault] = doctor.obstacles(gpu_16gb, replace(T4, no_compiler="there is no C compiler"), DISKS)
    assert fault == "there is no C compiler"


def test_an_embedder_without_room_beside_the_engine_is_an_obstacle(gpu_16gb: Params) -> None:
    crowded = replace(gpu_16gb, vllm=replace(gpu_16gb.vllm, gpu_memory_utilization=0.94))
    [fault] = doctor.obstacles(crowded, T4, DISKS)
    assert "an embedder of 1.1 GiB beside the engine, which leaves 0.9 GiB of Tesla T4" in fault
    assert "lower vllm.gpu_memory_utilization=0.94 to 0.93 or less" in fault
    base = replace(crowded.generate.base, candidates=0)
    assert doctor.obstacles(replace(crowded, generate=replace(crowded.generate, base=base)), T4, DISKS) == []


def test_the_disk_sum_has_checkpoints_and_says_how_much_is_written(gpu_16gb: Params) -> None:
    report = "\n".join(doctor.needs(gpu_16gb, T4, DISKS))
    assert "checkpoints 20.2" in report
    assert "training writes 202 GB in all" in report
    [fault] = doctor.obstacles(gpu_16gb, T4, [replace(DISKS[0], free_gb=30.0)])
    assert re.match(r"it may take \d+ GB of the disk of /disk, 30 are free: downloads 12\.7, checkpoints 20\.2", fault)
    # What the hub's cache holds on another disk is copied.
    apart = [Volume(500.0, ("hub",), Path("/hub")), Volume(500.0, ("checkout", "cache", "engine"), Path("/here"))]
    assert "models 12.7" in "\n".join(doctor.needs(gpu_16gb, T4, apart))
    assert "models 12.7" not in report


def test_report_names_the_profile_and_fails_where_it_cannot_run(
    gpu_16gb: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(doctor, "load_all", lambda: gpu_16gb)
    monkeypatch.setattr(doctor, "hub_answers", lambda: True)
    monkeypatch.setattr(doctor, "look", lambda: T4)
    monkeypatch.setattr(doctor, "volumes", lambda _: DISKS)
    doctor.main()
    report = capsys.readouterr().out
    assert "params.yaml (profile=gpu_16gb)" in report
    assert "gpu_24gb  it needs graphics cards" in report
    monkeypatch.setattr(doctor, "look", lambda: NONE)
    with pytest.raises(SystemExit):
        doctor.main()


def test_an_unreachable_hub_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert not hub_answers(timeout=1.0)
