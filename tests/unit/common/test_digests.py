"""Digests of large files: read once, and again as soon as anything about them is new."""

import os
from pathlib import Path

import pytest

from stages.common import digests
from stages.common.digests import kept_digest
from stages.common.sha256 import file_digest


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read, in a test that need not wait for them to settle."""
    read: list[Path] = []
    monkeypatch.setattr(digests, "_SETTLED", -1.0)
    monkeypatch.setattr(digests, "file_digest", lambda path: read.append(path) or file_digest(path))
    return read


def test_a_file_is_read_once_under_all_its_names(tmp_path, reads):
    path = tmp_path / "weights"
    path.write_bytes(b"a" * 1000)
    os.link(path, tmp_path / "twin")
    assert kept_digest(path) == kept_digest(tmp_path / "twin") == kept_digest(path) == file_digest(path)
    assert len(reads) == 1


def test_other_content_of_the_same_size_and_time_is_noticed(tmp_path, reads):
    path = tmp_path / "weights"
    path.write_bytes(b"a" * 1000)
    before, times = kept_digest(path), path.stat()
    path.write_bytes(b"b" * 1000)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert kept_digest(path) == file_digest(path) != before


def test_of_a_file_that_was_just_written_no_digest_is_kept(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"a")
    first = kept_digest(path)
    # Within one tick of the file system's clock, nothing about the file tells the two apart.
    path.write_bytes(b"b")
    assert kept_digest(path) != first
