"""What a run takes of the disk, by hand; and where it lies, on file systems of this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware.disk import (
    MOVED_BY,
    Stored,
    Volume,
    checkpoint_gb,
    checkpoints_gb,
    download_gb,
    folders,
    lacking,
    stored,
    volumes,
)
from tests.conftest import ROOT


@pytest.fixture
def gpu(tmp_path: Path) -> Params:
    return compose(tmp_path / "params.yaml", ["profile=gpu"], ROOT / "conf")


def gigabytes(params: Params, *, linked: bool) -> dict[str, float]:
    return {part.what: part.gb for part in stored(params, linked=linked)}


def test_a_model_in_two_roles_is_fetched_once(params: Params) -> None:
    assert params.models["student"] == params.models["embedder"]
    assert download_gb(params) == pytest.approx(0.49 + 1.12 + 1.15)


def test_the_default_run_converts_and_trains_no_encoder(params: Params) -> None:
    sums = gigabytes(params, linked=False)
    assert sums == pytest.approx({"models": 1.0 + 3.1 + 0.65, "a conversion": 2 * 1.15, "students": 2.25 * 0.65})
    assert checkpoints_gb(params) == 0


def test_a_trained_student_writes_checkpoints_three_of_them_at_once(gpu: Params) -> None:
    # 560 million weights, 4 bytes each and 8 of AdamW's moments.
    assert checkpoint_gb(gpu) == pytest.approx(6.72)
    assert checkpoints_gb(gpu) == pytest.approx(6 * 5 * 6.72)
    sums = gigabytes(gpu, linked=True)
    assert sums["checkpoints"] == pytest.approx(20.16)
    assert sums["students"] == pytest.approx((6 + 1.25) * 2.2)
    assert sums["compiled kernels"] > 0
    frozen = replace(gpu, train=replace(gpu.train, frozen_embeddings=True))
    assert checkpoint_gb(frozen) == pytest.approx((12 * 0.302e9 + 4 * 0.258e9) / 1e9)


def test_models_are_second_names_of_the_hubs_files_or_copies(gpu: Params) -> None:
    assert gigabytes(gpu, linked=True)["downloads"] == pytest.approx(29.5 + 2.2 + 0.52)
    assert "models" not in gigabytes(gpu, linked=True)
    assert gigabytes(gpu, linked=False)["models"] == pytest.approx(29.5 + 2.2 + 0.52)


def test_what_does_not_fit_is_said_for_the_disk_that_it_lies_on() -> None:
    parts = [
        Stored("downloads", "hub", 30.0),
        Stored("checkpoints", "cache", 20.0),
        Stored("students", "checkout", 10.0),
    ]
    one = Volume(100.0, ("hub", "checkout", "cache", "engine"), Path("/all"))
    assert lacking(parts, one) == ""
    says = lacking(parts, replace(one, free_gb=40.0))
    assert says.startswith("it may take 60 GB of the disk of /all, 40 are free: downloads 30.0, checkpoints 20.0")
    assert says.endswith("; HF_HOME, RAZMETKA_CACHE move what is not the checkout's")
    # The downloads lie elsewhere, and the rest fits.
    assert lacking(parts, Volume(40.0, ("checkout", "cache"), Path("/here"))) == ""
    assert "HF_HOME" in lacking(parts, Volume(20.0, ("hub",), Path("/hub")))
    assert "move" not in lacking(parts, Volume(5.0, ("checkout",), Path("/here")))


def test_places_on_one_file_system_are_one_volume(tmp_path: Path) -> None:
    [volume] = volumes({"hub": tmp_path / "not" / "yet", "checkout": tmp_path})
    assert volume.places == ("hub", "checkout")
    assert volume.free_gb > 0


def test_every_place_is_somewhere_and_a_variable_moves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CACHE_ROOT", str(tmp_path / "compiled"))
    assert folders().keys() == MOVED_BY.keys()
    assert folders()["engine"] == tmp_path / "compiled"
