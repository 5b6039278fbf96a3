"""A configuration for hardware that is not there stops in one sentence, before anything is fetched."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stages import models as stage
from stages.common.driver import Driver
from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware import requirements
from stages.hardware.machine import Card
from stages.hardware.requirements import require_hardware, shortfall
from stages.llm import backend, vllm_backend
from stages.llm.backend import Sampling
from stages.llm.config import Vllm
from stages.llm.vllm_backend import VllmBackend
from stages.running.errors import BackendError, ConfigError
from tests.conftest import ROOT

T4 = Card("Tesla T4", 14.6, 7.5)
L4 = Card("NVIDIA L4", 22.2, 8.9)
A10 = Card("NVIDIA A10", 22.1, 8.6)
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


@pytest.mark.parametrize(("card", "missing"), [(L4, ""), (A10, "compute capability 8.9, and NVIDIA A10 has 8.6")])
def test_weights_that_are_scaled_at_load_need_8_bit_arithmetic(card: Card, missing: str, tmp_path: Path) -> None:
    found = shortfall(engine(tmp_path, "profile=gpu", "vllm=gpu_24gb_fp8"), [card])
    assert missing in found
    assert bool(found) == bool(missing)


def test_a_card_that_only_the_driver_sees_is_told_with_its_reason(tmp_path: Path) -> None:
    assert shortfall(engine(tmp_path, "profile=gpu_16gb"), [], "torch sees none: why") == "torch sees none: why"
    assert "needs NVIDIA" in shortfall(engine(tmp_path, "profile=gpu_16gb"), [], "")


def test_the_cpu_configuration_never_looks_for_a_card(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "usable_cards", lambda: pytest.fail("looked"))
    require_hardware(params.vllm)


@pytest.mark.parametrize(
    ("cards", "driver", "compiler", "missing"),
    [
        ((), None, "", "has none"),
        ((), Driver("550.54.15", ("Tesla T4, 15360 MiB",)), "", "driver 580 or newer.*cuda-compat-13-0"),
        ((A100,), Driver("580.95.05"), "there is no C compiler", "there is no C compiler"),
    ],
    ids=["no card", "old driver", "no compiler"],
)
def test_models_stops_before_any_download(
    cards: tuple[Card, ...],
    driver: Driver | None,
    compiler: str,
    missing: str,
    params: Params,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = replace(params, vllm=engine(tmp_path, "profile=gpu"))
    monkeypatch.setattr(requirements, "usable_cards", lambda: cards)
    monkeypatch.setattr(requirements, "installed_driver", lambda: driver)
    monkeypatch.setattr(requirements, "missing_compiler", lambda: compiler)
    monkeypatch.setattr(stage, "load", lambda _: gpu)
    monkeypatch.setattr(stage, "resolve", lambda *_: pytest.fail("fetched"))
    monkeypatch.setattr(sys, "argv", ["models", "teacher"])
    with pytest.raises(
        ConfigError, match=rf"vllm\.device=cuda.*{missing}.*\. Nothing was fetched\. `make doctor`"
    ) as caught:
        stage.main()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("driver", "says"),
    [(None, "no NVIDIA driver"), (Driver("550.54.15"), "cuda-compat-13-0")],
    ids=["none", "old"],
)
def test_the_engine_says_the_same_and_only_when_it_has_to_start(
    driver: Driver | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(backend, "installed_driver", lambda: driver)
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(vllm_backend, "model_identity", lambda *_, **__: "tiny")
    model = VllmBackend(tmp_path, engine(tmp_path, "profile=gpu_16gb"))
    model.__dict__["tokenizer"] = SimpleNamespace(encode=lambda text, add_special_tokens: [*range(len(text.split()))])
    with pytest.raises(BackendError, match=rf"vllm\.device=cuda: .*{says}.*make doctor"):
        list(model.complete(["да"], [Sampling(1)]))
    assert list(model.complete([], [])) == []
