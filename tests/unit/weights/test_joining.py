"""Parts of a file, unpacked ahead and put together in their order."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stages.running.errors import ModelError
from stages.running.peak import physical_cores
from stages.weights.joining import _unpacked, join


@pytest.fixture
def parts(tmp_path: Path) -> list[tuple[Path, str]]:
    """More of them than are unpacked ahead; the first takes the longest."""
    made = []
    for number in range(physical_cores() + 5):
        path = tmp_path / f"{number}.whl"
        content = np.random.default_rng(number).bytes(2**22 >> number)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("part.bin", content)
        made.append((path, "part.bin"))
    return made


def test_they_are_put_together_in_their_order(parts: list[tuple[Path, str]], tmp_path: Path) -> None:
    whole = b"".join(np.random.default_rng(number).bytes(2**22 >> number) for number in range(len(parts)))
    digest = join(parts, tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == whole
    assert digest == hashlib.sha256(whole).hexdigest()


def test_no_more_are_in_memory_than_the_cores_need(parts: list[tuple[Path, str]]) -> None:
    drawn = 0

    def counted() -> Iterator[tuple[Path, str]]:
        nonlocal drawn
        for part in parts:
            drawn += 1
            yield part

    for taken, _ in enumerate(_unpacked(counted()), start=1):
        assert drawn <= taken + physical_cores()
    assert drawn == len(parts)


def test_a_damaged_part_is_named(parts: list[tuple[Path, str]], tmp_path: Path) -> None:
    content = bytearray(parts[3][0].read_bytes())
    content[len(content) // 2] ^= 255
    parts[3][0].write_bytes(content)
    with pytest.raises(ModelError, match=r"3\.whl is damaged"):
        join(parts, tmp_path / "whole")
