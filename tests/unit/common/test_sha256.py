"""The SHA-256 of a file, and that only one module computes it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stages.common import sha256
from stages.common.sha256 import file_digest
from tests.conftest import ROOT


def test_a_file_of_several_blocks_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    assert file_digest(tmp_path / "file") == hashlib.sha256(content).digest()


def test_files_are_digested_in_one_place() -> None:
    sources = (ROOT / "stages").rglob("*.py")
    assert [path for path in sources if "hashlib.file_digest" in path.read_text()] == [Path(sha256.__file__)]
