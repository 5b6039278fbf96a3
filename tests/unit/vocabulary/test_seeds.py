import pytest

from stages.common.errors import DataError
from stages.vocabulary.vocabulary import read_seeds

SEEDS = "text;label;product;notes\r\nКеды жмут; Обувь;кеды;жмут\r\nКовш лёгкий;посуда;ковш;лёгкий\r\nНитки;хобби;;\r\n"


def test_seeds_are_read_as_any_table(tmp_path):
    (tmp_path / "seeds.csv").write_bytes(SEEDS.encode("cp1251"))
    seeds = read_seeds(str(tmp_path / "seeds.csv"), ["обувь", "посуда"])
    assert seeds[["row", "text", "label"]].to_numpy().tolist() == [
        [2, "Кеды жмут", "обувь"],
        [3, "Ковш лёгкий", "посуда"],
    ]


def test_labels_that_are_numbers_stay_texts(tmp_path):
    (tmp_path / "seeds.csv").write_text("text,label,product,notes\nа,1,,\nб,02,,\n")
    assert read_seeds(str(tmp_path / "seeds.csv"), ["1", "02"])["label"].to_list() == ["1", "02"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("Кеды;обувб;;", "row 4: label 'обувб' is not one of обувь, посуда; is 'обувь' meant?"),
        ("Кеды;;;", "row 4: a seed without a label"),
        (";обувь;;", "row 4: a seed without a text"),
    ],
)
def test_a_seed_that_would_be_lost_is_refused(tmp_path, rows, message):
    lines = SEEDS.splitlines()
    (tmp_path / "seeds.csv").write_text("\n".join([*lines[:3], rows]))
    with pytest.raises(DataError, match=message):
        read_seeds(str(tmp_path / "seeds.csv"), ["обувь", "посуда"])


def test_a_category_without_seeds_is_named(tmp_path):
    (tmp_path / "seeds.csv").write_text(SEEDS)
    with pytest.raises(DataError, match="no seed for 'текстиль'"):
        read_seeds(str(tmp_path / "seeds.csv"), ["обувь", "текстиль"])
