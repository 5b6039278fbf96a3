"""A folder is there whole or not at all, and is known again by its manifest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.common.manifest import HASHED_BYTES, MANIFEST, check_manifest, write_manifest
from stages.running.errors import DataError
from stages.running.io import atomic_folder
from tests.conftest import ROOT


def fill(folder: Path, content: str) -> None:
    (folder / "inner").mkdir()
    for name in ("a", "inner/b"):
        (folder / name).write_text(content)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


WHOLE = {"a": "new", "inner/b": "new"}


@pytest.mark.parametrize("protected", [False, True])
def test_a_folder_replaces_the_former_one(protected: bool, tmp_path: Path) -> None:
    target = tmp_path / "parent/student"
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    # As DVC leaves it: a second name of a file in its cache, that nobody may write.
    kept = tmp_path / "kept"
    os.link(target / "old", kept)
    if protected:
        kept.chmod(0o444)
    with atomic_folder(target) as folder:
        fill(folder, "new")
        os.link(kept, folder / "linked")
        assert contents(target) == {"old": "old"}
    assert contents(target) == {**WHOLE, "linked": "old"}
    # Whoever may read the folder above may read this one, as a file of `atomic_path`.
    assert target.stat().st_mode & 0o777 == 0o755
    assert kept.read_text() == "old"
    assert [*target.parent.iterdir()] == [target]


def test_what_fails_or_is_interrupted_leaves_the_former_one(tmp_path: Path) -> None:
    target = tmp_path / "student"
    target.mkdir()
    (target / "old").write_text("old")

    def fail() -> None:
        with atomic_folder(target) as folder:
            fill(folder, "new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert contents(target) == {"old": "old"}
    assert [*tmp_path.iterdir()] == [target]


def test_a_link_to_a_folder_is_replaced_and_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/old").write_text("old")
    (tmp_path / "student").symlink_to("other")
    with atomic_folder(tmp_path / "student") as folder:
        fill(folder, "new")
    assert contents(tmp_path / "student") == WHOLE
    assert contents(tmp_path / "other") == {"old": "old"}


def test_whenever_a_process_is_killed_no_half_of_a_folder_is_left(tmp_path: Path) -> None:
    target = tmp_path / "student"
    code = f"""
from pathlib import Path
from stages.running.io import atomic_folder
number = 0
while True:
    number += 1
    with atomic_folder(Path({str(target)!r})) as folder:
        (folder / "inner").mkdir()
        for name in ("a", "inner/b", "c", "d"):
            (folder / name).write_text(str(number) * 1000)
    print(number, flush=True)
"""
    seen = set()
    for attempt in range(6):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.003 * attempt)
        process.kill()
        process.communicate()
        # What a process works in has a name of its own; that of the one before is gone.
        seen |= {re.sub("-[a-z0-9_]{8}$", "-", path.name) for path in tmp_path.iterdir()}
        assert len([*tmp_path.glob(".student.partial-*")]) <= 1
        if target.exists():
            found = contents(target)
            assert set(found) == {"a", "inner/b", "c", "d"}
            assert len(set(found.values())) == 1
    assert seen <= {"student", ".student.partial-", ".student.old"}
    with atomic_folder(target) as folder:
        fill(folder, "new")
    assert contents(target) == WHOLE
    assert [*tmp_path.iterdir()] == [target]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    fill(tmp_path, "content")
    write_manifest(tmp_path)
    check(tmp_path)
    return tmp_path


def check(folder: Path) -> None:
    check_manifest(folder, DataError, "run `dvc repro dataset`")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4])


def swap(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.parametrize("damage", [cut, swap, Path.unlink])
@pytest.mark.parametrize("name", ["a", "inner/b", MANIFEST])
def test_a_file_at_fault_is_named_with_the_remedy(name: str, damage: Callable[[Path], object], listed: Path) -> None:
    damage(listed / name)
    with pytest.raises(DataError, match=rf"{name} .*; run `dvc repro dataset`") as raised:
        check(listed)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", ["[]", '{"a": 1}', '{"a": {"bytes": 7}}', "\xff"])
def test_a_manifest_that_is_none_is_told(content: str, listed: Path) -> None:
    (listed / MANIFEST).write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json is damaged"):
        check(listed)


def test_large_weights_are_known_by_their_size(tmp_path: Path) -> None:
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(HASHED_BYTES + 1)
    write_manifest(tmp_path)
    check(tmp_path)
    os.truncate(tmp_path / "weights", 4)
    with pytest.raises(DataError, match=f"4 bytes instead of {HASHED_BYTES + 1}"):
        check(tmp_path)


def test_a_manifest_is_never_written_through_a_second_name(
    listed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    os.link(listed / MANIFEST, other / MANIFEST)
    (listed / "a").write_text("another")
    before = (other / MANIFEST).read_text()
    write_manifest(listed)
    assert (other / MANIFEST).read_text() == before
