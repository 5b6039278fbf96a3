"""A configuration for hardware that is not there stops in one sentence, before anything is fetched."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stages import models as stage
from stages.common.errors import ConfigError
from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware import requirements
from stages.hardware.machine import Card
from stages.hardware.requirements import require_hardware, shortfall
from stages.llm.config import Vllm
from tests.conftest import ROOT

T4 = Card("Tesla T4", 14.6, 7.5)
L4 = Card("NVIDIA L4", 22.2, 8.9)
A100 = Card("NVIDIA A100-SXM4-40GB", 39.4, 8.0)
V100 = Card("Tesla V100-SXM2-16GB", 15.8, 7.0)


def engine(tmp_path: Path, *overrides: str) -> Vllm:
    return compose(tmp_path / "params.yaml", list(overrides), ROOT / "conf").vllm


@pytest.mark.parametrize(
    ("profile", "cards", "missing"),
    [
        ("cpu", [], ""),
        ("cpu", [T4], ""),
        ("gpu_16gb", [T4], ""),
        ("gpu_16gb", [V100], "compute capability 7.5, and Tesla V100-SXM2-16GB has 7.0"),
        ("gpu_24gb", [L4], ""),
        ("gpu_24gb", [T4], "Tesla T4 has 14.6 GiB"),
        ("gpu", [A100], ""),
        ("gpu", [L4], "39 GiB), and NVIDIA L4 has 22.2 GiB"),
        ("gpu", [], "this machine has none"),
        ("gpu_70b", [A100], "2 of at least 39 GiB), and this machine has 1"),
        ("gpu_70b", [A100, A100], ""),
    ],
)
def test_profiles_against_cards(profile: str, cards: list[Card], missing: str, tmp_path: Path) -> None:
    found = shortfall(engine(tmp_path, f"profile={profile}"), cards)
    assert missing in found
    assert bool(found) == bool(missing)


def test_a_card_that_only_the_driver_sees_asks_for_the_other_environment(tmp_path: Path) -> None:
    assert "make setup-gpu" in shortfall(engine(tmp_path, "profile=gpu_16gb"), [], ["Tesla T4, 15360 MiB"])


def test_the_cpu_configuration_never_looks_for_a_card(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "usable_cards", lambda: pytest.fail("looked"))
    require_hardware(params.vllm)


def test_models_stops_before_any_download(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = replace(params, vllm=engine(tmp_path, "profile=gpu"))
    monkeypatch.setattr(requirements, "usable_cards", lambda: ())
    monkeypatch.setattr(requirements, "driver_cards", lambda: ())
    monkeypatch.setattr(stage, "load", lambda _: gpu)
    monkeypatch.setattr(stage, "resolve", lambda *_: pytest.fail("fetched"))
    monkeypatch.setattr(sys, "argv", ["models", "teacher"])
    with pytest.raises(
        ConfigError, match=r"vllm\.device=cuda.*has none\. Nothing was fetched\. `make doctor`"
    ) as caught:
        stage.main()
    assert "\n" not in str(caught.value)
