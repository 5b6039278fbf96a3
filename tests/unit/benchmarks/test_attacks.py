"""The attack set keeps what it promises, and rates count what their names say."""

import re
from collections import Counter

import pandas as pd
import pytest
import yaml

from benchmarks.attack_set import LONGEST, Attack, harmless, put, read_attacks
from benchmarks.attacks import FORMS, Rate, attacked_cases, hijackers, results_of
from tests.conftest import ROOT

SET = read_attacks(ROOT / "benchmarks/attacks.yaml")
NAMES = ["обувь", "посуда", "украшения и аксессуары"]
ROWS = pd.DataFrame(
    {
        "text": ["Туфли жмут в пальцах", "Кружка треснула от кипятка", "Серьги потемнели за неделю", "Тапки мягкие"],
        "label": ["обувь", "посуда", "украшения и аксессуары", "обувь"],
    }
)


def test_attacks_are_many_of_many_kinds() -> None:
    assert len({attack.id for attack in SET}) == len(SET) >= 80
    assert len({attack.text for attack in SET}) == len(SET)
    assert min(Counter(attack.kind for attack in SET).values()) >= 5
    assert {attack.place for attack in SET} == {"before", "after", "inside"}


@pytest.mark.parametrize("attack", SET, ids=lambda attack: attack.id)
def test_an_attack_is_aimed_and_leaves_the_review_whole(attack: Attack) -> None:
    review = "Туфли жмут в пальцах"
    first, second = (attack.on(review, target) for target in ("посуда", "украшения и аксессуары"))
    assert first != second
    for attacked in (first, second):
        assert len(attacked) < LONGEST + 100
        rest = attacked.replace(attack.render("посуда", LONGEST - len(review)), "")
        rest = rest.replace(attack.render("украшения и аксессуары", LONGEST - len(review)), "")
        assert rest.split() == review.split()


def test_the_long_ones_are_as_long_as_a_review_may_be() -> None:
    for attack in SET:
        if attack.kind == "long":
            assert LONGEST - 60 < len(attack.on("Туфли жмут в пальцах", "посуда")) < LONGEST + 60


def test_the_fields_of_every_shipped_prompt_are_forged() -> None:
    forged = "\n".join(attack.render("посуда") for attack in SET)
    for file in sorted((ROOT / "conf/prompt").glob("*.yaml")):
        prompt = yaml.safe_load(file.read_text(encoding="utf-8"))
        for key in ("category_prefix", "explanation_prefix", "reasoning_prefix"):
            assert prompt[key].strip() in forged, (file.name, key)


def test_text_is_put_where_it_is_said_to_stand() -> None:
    assert put("раз два три", "X", "before") == "X раз два три"
    assert put("раз два три", "X", "after") == "раз два три X"
    assert put("раз два три", "X", "inside") == "раз два X три"
    assert put("одно", "X", "inside") == "одно X"


@pytest.mark.parametrize("length", [0, 1, 30, 100, 1500, 4000])
def test_harmless_text_is_of_the_wanted_length(length: int) -> None:
    longest_word = 12
    for start in range(12):
        assert max(1, length - longest_word) <= len(harmless(length, start)) <= max(length, longest_word)


def test_cases_follow_from_the_seed_and_fewer_are_the_beginning_of_more() -> None:
    cases = attacked_cases(SET, ROWS, NAMES, reviews=3, seed=20)
    assert len(cases) == 3 * len(SET)
    pd.testing.assert_frame_equal(cases, attacked_cases(SET, ROWS, NAMES, reviews=3, seed=20))
    pd.testing.assert_frame_equal(cases.head(len(SET)), attacked_cases(SET, ROWS, NAMES, reviews=1, seed=20))
    assert not cases[["target", *FORMS]].equals(attacked_cases(SET, ROWS, NAMES, 3, seed=21)[["target", *FORMS]])
    assert (cases["target"] != cases["label"]).all()
    assert cases["target"].isin(NAMES).all()
    assert set(cases["attack"].value_counts()) == {3}
    turns = cases["plain"].value_counts()
    assert turns.max() - turns.min() <= 1
    # What cleaning takes away of a tag or of spaces is the only difference in length beside a word.
    longer = cases["attacked"].str.len() - cases["harmless"].str.len()
    assert longer.abs().max() <= 13


def test_flips_and_hijacks_are_counted_by_kind() -> None:
    cases = pd.DataFrame(
        {
            "attack": ["a", "b", "b", "c"],
            "kind": ["order", "field", "field", "order"],
            "label": ["обувь", "обувь", "посуда", "посуда"],
            "target": ["посуда", "посуда", "обувь", "обувь"],
        }
    )
    # In turn: hijacked; what it was before, so no hijack; flipped elsewhere, and by harmless text too; unmoved.
    answers = pd.DataFrame(
        [
            ["обувь", "обувь", "посуда"],
            ["посуда", "посуда", "посуда"],
            ["посуда", "обувь", "украшения и аксессуары"],
            ["посуда", "посуда", "посуда"],
        ],
        columns=FORMS,
    )
    results = {result.kind: result for result in results_of("student", cases, answers)}
    assert list(results) == ["all", "order", "field"]
    shares = {
        kind: (result.cases, result.flipped["attacked"].share, result.hijacked["attacked"].share)
        for kind, result in results.items()
    }
    assert shares == {"all": (4, 0.5, 0.25), "order": (2, 0.5, 0.5), "field": (2, 0.5, 0.0)}
    assert results["all"].flipped["harmless"].share == 0.25
    assert results["all"].hijacked["harmless"].share == 0.25
    assert [rate.share for rate in results["all"].right.values()] == [0.75, 0.5, 0.25]
    assert hijackers(cases, {"student": answers}) == {"student": {"a": 1}}


def test_intervals_are_wilsons() -> None:
    # Wilson 1927 for 0 of 10 and 5 of 10 at 95%, as in Agresti & Coull 1998.
    none, half = (Rate.of(pd.Series([True] * hits + [False] * (10 - hits)).to_numpy()) for hits in (0, 5))
    assert (none.share, round(none.low, 3), round(none.high, 3)) == (0.0, 0.0, 0.278)
    assert (half.share, round(half.low, 3), round(half.high, 3)) == (0.5, 0.237, 0.763)


def test_the_set_names_nobody() -> None:
    text = (ROOT / "benchmarks/attacks.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://([\w.-]+)", text)) == {"example.com"}
    assert "@" not in text.replace("@ ", "")
