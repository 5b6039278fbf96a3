"""The ZIP is whole, the same for the same run, and works where it is unpacked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

from stages import publish
from stages.publishing.archive import write_archive
from stages.publishing.contents import Contents, contents
from stages.publishing.errors import PublishError


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["publish", *arguments])
    publish.main()


def test_unpacked_elsewhere_the_student_answers(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "--zip", "share.zip", "--accept", "gemma")
    with ZipFile("share.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "elsewhere")
    for what in ("student", "dataset"):
        for name, given in contents(what, "").files.items():
            if isinstance(given, Path):
                assert (tmp_path / "elsewhere" / what / name).read_bytes() == given.read_bytes()
    assert not (tmp_path / "elsewhere/student/notes.txt").exists()
    example = [sys.executable, tmp_path / "elsewhere/student/example.py", "туфли", "платье платье"]
    answered = subprocess.run(example, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert answered == "обувь\t0.1000\tтуфли\nодежда\t0.4000\tплатье платье\n"


def test_the_same_run_is_the_same_bytes(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "--accept", "gemma")
    first = publish.ARCHIVE.read_bytes()
    (finished / "data/student/config.json").touch()
    run(monkeypatch, "--accept", "gemma")
    assert publish.ARCHIVE.read_bytes() == first


def test_a_file_beyond_four_gigabytes_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The limit from which on sizes take eight bytes, lowered: the fields are there by the size that is known before.
    monkeypatch.setattr("zipfile.ZIP64_LIMIT", 2**20)
    large = tmp_path / "model.safetensors"
    large.write_bytes(b"weights " * 2**18)
    write_archive(tmp_path / "share.zip", [Contents("student", {"model.safetensors": large})])
    with ZipFile(tmp_path / "share.zip") as archive:
        (entry,) = archive.infolist()
        assert entry.compress_type == ZIP_STORED
        assert entry.extract_version == 45
        assert archive.read(entry) == large.read_bytes()


def test_a_run_that_is_not_whole_is_not_passed_on(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = finished / "data/student/onnx/model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(PublishError, match=r"onnx/model.onnx is not what was written: .*run `dvc repro package`"):
        run(monkeypatch, "--accept", "gemma")
    weights.unlink()
    with pytest.raises(PublishError, match=r"onnx/model\.onnx is missing"):
        run(monkeypatch, "--accept", "gemma")
    assert not publish.ARCHIVE.exists()


def test_a_folder_without_its_card_is_not_passed_on(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (finished / "data/dataset/README.md").unlink()
    with pytest.raises(PublishError, match=r"data/dataset/README\.md is missing; run `dvc repro dataset`"):
        run(monkeypatch, "--accept", "gemma")
