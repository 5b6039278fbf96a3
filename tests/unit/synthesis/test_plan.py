import pandas as pd
import pytest

from stages.running.errors import ConfigError
from stages.synthesis.plan import Plan, imbalance_plan

NAMES = ["обувь", "одежда", "посуда", "нет товара"]
TRAIN = pd.Series(["одежда"] * 70 + ["нет товара"] * 20 + ["обувь"] * 10)


def test_rare_classes_are_filled_up_to_the_wanted_rows() -> None:
    plan = imbalance_plan(TRAIN, NAMES, Plan(rare_share=0.15, wanted=25)).set_index("label")
    assert plan.index.to_list() == NAMES
    assert plan["real_rows"].to_list() == [10, 70, 0, 20]
    assert plan["share"].to_list() == [0.1, 0.7, 0.0, 0.2]
    assert plan["rare"].to_list() == [True, False, True, False]
    assert plan["to_generate"].to_list() == [15, 0, 25, 0]
    assert plan["wanted"].to_list() == [25, 70, 25, 20]


def test_a_rare_class_with_enough_rows_needs_none() -> None:
    plan = imbalance_plan(TRAIN, NAMES, Plan(rare_share=0.15, wanted=5)).set_index("label")
    assert plan.loc["обувь", ["rare", "to_generate", "wanted"]].to_list() == [True, 0, 10]


def test_the_share_itself_is_not_rare() -> None:
    plan = imbalance_plan(TRAIN, NAMES, Plan(rare_share=0.1, wanted=50))
    assert plan["rare"].to_list() == [False, False, True, False]


def test_override_replaces_the_number_to_generate() -> None:
    plan = imbalance_plan(TRAIN, NAMES, Plan(rare_share=0.15, wanted=25, override={"посуда": 3, "одежда": 7}))
    assert plan["to_generate"].to_list() == [15, 7, 3, 0]
    assert plan["wanted"].to_list() == [25, 77, 3, 20]


def test_unknown_override_is_refused_with_the_labels() -> None:
    with pytest.raises(ConfigError, match=r"мебель.*обувь, одежда, посуда, нет товара"):
        imbalance_plan(TRAIN, NAMES, Plan(rare_share=0.15, wanted=25, override={"мебель": 3}))


def test_no_train_rows_make_every_class_rare() -> None:
    plan = imbalance_plan(TRAIN.iloc[:0], NAMES, Plan(rare_share=0.15, wanted=2))
    assert plan["to_generate"].to_list() == [2, 2, 2, 2]


@pytest.mark.parametrize("bad", [{"rare_share": 1.5, "wanted": 1}, {"rare_share": 0.1, "wanted": -1}])
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"plan\.(rare_share|wanted)"):
        Plan(**bad)  # type: ignore[arg-type]
