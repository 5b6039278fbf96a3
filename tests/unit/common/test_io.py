import pandas as pd
import pytest

from stages.common.io import atomic_path, read_table, write_table


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
