import pandas as pd
import pytest

from stages.common.io import atomic_path, read_table, table_writer, write_table


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
