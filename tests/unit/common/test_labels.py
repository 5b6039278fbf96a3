import pytest

from stages.common.labels import Labels, meant_label
from stages.running.config import checked
from stages.running.errors import ConfigError


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["обувь"], "at least two"),
        (["обувь", ""], "'' is empty or has spaces"),
        (["обувь", " посуда"], "' посуда' is empty or has spaces to spare"),
        (["Обувь", "посуда", "обувь"], r"\['Обувь', 'обувь'\] are one name but for case"),
        (["да", True], r"names\.1=True"),
        (["да", 5], r"names\.1=5"),
    ],
)
def test_labels_that_could_be_confused_are_refused(names, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        checked(Labels, {"language": "ru", "names": names}, tmp_path / "params.yaml")


def test_the_category_without_a_product_is_one_of_the_names_or_none(tmp_path):
    given = {"language": "ru", "names": ["обувь", "нет товара"]}
    assert checked(Labels, given, tmp_path / "params.yaml").no_product is None
    for name in ("нет товара", None):
        assert checked(Labels, {**given, "no_product": name}, tmp_path / "params.yaml").no_product == name
    for name in ("Нет товара", "прочее", ""):
        with pytest.raises(ConfigError, match=rf"labels\.no_product='{name}' is none of labels\.names; null if no"):
            checked(Labels, {**given, "no_product": name}, tmp_path / "params.yaml")


def test_a_label_is_known_in_another_case():
    assert meant_label(" Нет\xa0 ТОВАРА", ["обувь", "нет товара"]) == "нет товара"
    assert meant_label("нет товаров", ["обувь", "нет товара"]) is None
