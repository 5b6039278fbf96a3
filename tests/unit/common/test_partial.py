import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from stages.common.partial import open_partial
from stages.running.errors import DataError


def write(target, question, *rows):
    """Add parts of one row each, and be interrupted before the end."""

    def interrupted():
        with open_partial(target) as partial:
            partial.begin(question)
            for row in rows:
                partial.add(pa.table({"row": [row]}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def left(target, question):
    with open_partial(target) as partial:
        partial.begin(question)
        assert partial.rows() == sum(len(table) for table in partial.tables(2))
        return [row for table in partial.tables(2) for row in table["row"].to_pylist()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("who runs this may not mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_the_same_question_goes_on(tmp_path, caplog):
    target, question = tmp_path / "new/out.csv", {"input": "a", "--min-confidence": 0.5}
    write(target, question, 0, 1)
    write(target, question, 2)
    assert left(target, question) == [0, 1, 2]
    assert not caplog.text
    assert not list(target.parent.iterdir())


def test_another_question_starts_over_and_says_what_is_another_one(tmp_path, caplog):
    target = tmp_path / "out.csv"
    write(target, {"input": "a", "model": "m"}, 0, 1)
    write(target, {"input": "b", "model": "m"}, 7)
    assert "out.csv.part is of another input: starting over" in caplog.text
    assert left(target, {"input": "b", "model": "m"}) == [7]


def test_parts_of_an_unknown_question_are_not_taken(tmp_path):
    target = tmp_path / "out.csv"
    write(target, {"input": "a"}, 0)
    (tmp_path / "out.csv.part/state.json").unlink()
    assert left(target, {"input": "a"}) == []


def test_two_processes_do_not_write_the_same_file(tmp_path):
    with (
        open_partial(tmp_path / "out.csv"),
        pytest.raises(DataError, match=r"another process writes .*out\.csv"),
        open_partial(tmp_path / "out.csv"),
    ):
        pass


@pytest.mark.parametrize("target", ["file/out.csv", "/proc/out.csv", "/proc/new/out.csv", "я" * 126 + ".csv"])
def test_what_cannot_be_written_is_refused_before_anything_else(target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with (
        pytest.raises(DataError, match=r"\.csv cannot be written \(.*\); name a file") as refused,
        open_partial(Path(target)),
    ):
        pytest.fail("it was opened")  # fmt: skip
    assert "\n" not in str(refused.value)
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]


def test_a_disk_that_is_full_from_the_start_is_told_at_once(small_disk):
    with (small_disk / "filler").open("wb") as filler, pytest.raises(OSError, match="No space"):
        filler.write(bytes(2**20))
    with pytest.raises(DataError, match=r"No space left.*make room"), open_partial(small_disk / "out.csv"):
        pytest.fail("it was opened")


def test_a_disk_that_gets_full_costs_nothing_that_is_written(small_disk):
    target, question = small_disk / "out.csv", {"input": "a"}
    filler = small_disk / "filler"

    def fill():
        with open_partial(target) as partial:
            partial.begin(question)
            partial.add(pa.table({"row": [0]}))
            filler.write_bytes(bytes(2**17))
            partial.add(pa.table({"row": [*range(50_000)]}))

    with pytest.raises(DataError, match=r"out\.csv cannot be written \(No space left on device\); make room, and"):
        fill()
    filler.unlink()
    assert left(target, question) == [0]
