import pytest

from stages.common.texts import letters


@pytest.mark.parametrize(
    "other", ["еще берем", "ЕЩЁ, берём!", "е\u0308ще берем", "ещё бер\u0301ём", "Еще-берем…", "\u00abЕщё\u00bb  берём"]
)
def test_case_punctuation_stress_and_yo_do_not_make_another_review(other):
    assert letters(other) == letters("Ещё берём")


@pytest.mark.parametrize(("one", "other"), [("мой", "мои"), ("размер M", "размер М"), ("размер 44", "размер 46")])
def test_other_letters_do(one, other):
    assert letters(one) != letters(other)


def test_a_letter_of_two_code_points_is_that_letter():
    assert letters("мои\u0306 чаи\u0306ник") == "мойчайник"
