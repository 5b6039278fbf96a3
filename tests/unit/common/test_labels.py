import pytest

from stages.common.config import checked
from stages.common.errors import ConfigError
from stages.common.labels import Labels, meant_label


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


def test_a_label_is_known_in_another_case():
    assert meant_label(" Нет\xa0 ТОВАРА", ["обувь", "нет товара"]) == "нет товара"
    assert meant_label("нет товаров", ["обувь", "нет товара"]) is None
