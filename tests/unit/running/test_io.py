import errno
import os

import pandas as pd
import pytest

from stages.common.figures import read_figures
from stages.running.errors import DataError
from stages.running.io import atomic_path, read_table, syncing, table_writer, write_table


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail_half_way() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_tables_round_trip(name, tmp_path):
    frame = pd.DataFrame({"text": ['да, "нет"\nстрока', "", "NA"], "row": [1, 2, 3]})
    write_table(tmp_path / name, frame)
    assert read_table(tmp_path / name).to_dict("list") == frame.to_dict("list")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_table_written_in_parts_is_the_table_written_whole(name, tmp_path):
    frame = pd.DataFrame({"text": ['да, "нет"\nстрока', "", "NA"], "row": [1, 2, 3], "share": [None, None, 0.5]})
    with table_writer(tmp_path / name) as add:
        add(frame[:0])
        for start in range(3):
            add(frame[start : start + 1])
            assert not (tmp_path / name).exists()
    write_table(tmp_path / f"whole_{name}", frame)
    pd.testing.assert_frame_equal(read_table(tmp_path / name), read_table(tmp_path / f"whole_{name}"))
    if name.endswith(".csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / f"whole_{name}").read_bytes()


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"PAR1\xff\n1,2,3\n"])
def test_a_table_that_is_missing_or_damaged_is_told_in_one_line(name, content, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} cannot be read .*run `dvc repro`") as raised:
        read_table(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_categories_that_are_numbers_stay_texts(tmp_path):
    frame = pd.DataFrame({"label": ["1", "02", "1e5"], "id": ["1234567890123456"] * 3, "rows": [3, 4, 5]})
    write_table(tmp_path / "plan.csv", frame)
    pd.testing.assert_frame_equal(read_table(tmp_path / "plan.csv"), frame, check_dtype=False)
    assert read_figures(tmp_path / "plan.csv")["label"].to_list() == ["1", "02", "1e5"]


def test_a_folder_is_synced_while_something_else_is_done(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    for name in ("one", "inner/two"):
        (tmp_path / name).write_text(name)
    synced, sync = set(), os.fsync

    def noted(handle):
        sync(handle)
        synced.add(os.readlink(f"/proc/self/fd/{handle}"))

    monkeypatch.setattr(os, "fsync", noted)
    with syncing(tmp_path):
        assert (tmp_path / "one").read_text() == "one"
    assert synced == {str(tmp_path / "one"), str(tmp_path / "inner/two")}


def test_what_the_disk_says_meanwhile_is_raised(tmp_path, monkeypatch):
    (tmp_path / "one").write_text("one")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), syncing(tmp_path):
        pass
