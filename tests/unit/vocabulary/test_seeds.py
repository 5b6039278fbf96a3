"""What is written for the categories, read and as texts."""

import pytest

from stages.running.errors import DataError
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_seeds, read_vocabulary

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


ATTRIBUTES = """\
products:
  обувь: {кеды: [белые, жмут], набор: [полный]}
  посуда: {ковш: [лёгкий], набор: [красивый, звонкий]}
  хобби: {нитки: [рвутся], ковш: [деревянный]}
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "seeds.csv").write_text(SEEDS)
    (tmp_path / "attributes.yaml").write_text(ATTRIBUTES)
    return VocabularyFiles(seeds=str(tmp_path / "seeds.csv"), attributes=str(tmp_path / "attributes.yaml"))


def test_examples_are_the_seeds_and_a_phrase_of_each_product_with_its_notes(files):
    vocabulary = read_vocabulary(files, ["обувь", "посуда"])
    examples = vocabulary.examples()
    assert list(examples.columns) == ["text", "label", "product", "notes"]
    assert examples.to_numpy().tolist() == [
        ["Кеды жмут", "обувь", "кеды", "жмут"],
        ["Ковш лёгкий", "посуда", "ковш", "лёгкий"],
        ["кеды: белые, жмут", "обувь", "кеды", "белые, жмут"],
        ["набор: полный", "обувь", "набор", "полный"],
        ["ковш: лёгкий", "посуда", "ковш", "лёгкий"],
        ["набор: красивый, звонкий", "посуда", "набор", "красивый, звонкий"],
    ]
    assert vocabulary.manner == {}


def test_a_bare_name_is_a_text_where_one_category_alone_has_the_product(files):
    names = read_vocabulary(files, ["обувь", "посуда"]).names()
    # Sets of two categories tell nothing; the scoop of a category that is not at hand does not count.
    assert names.to_numpy().tolist() == [["кеды", "обувь", "кеды", ""], ["ковш", "посуда", "ковш", ""]]
    assert list(names.columns) == ["text", "label", "product", "notes"]
