import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.labelling.answers import parse_answer


@pytest.mark.parametrize(
    ("raw", "label", "explanation", "failure"),
    [
        ("Категория: обувь\nПояснение: названы туфли", "обувь", "названы туфли", ""),
        ("  Категория:  нет товара \n Пояснение:  только  доставка ", "нет товара", "только доставка", ""),
        ("Обувь", "", "", "no line Категория:"),
        ("Категория: похоже на обувь\nПояснение: да", "", "", "unknown category 'похоже на обувь'"),
        ("Категория: обувь\nпотому что туфли", "", "", "no line Пояснение:"),
        ("Категория: обувь\nПояснение: ...", "", "", "empty explanation"),
        ("", "", "", "no line Категория:"),
    ],
)
def test_strict_format(raw, label, explanation, failure, params):
    answer = parse_answer(raw, params.prompt, params.labels.names, needs_explanation=True)
    assert (answer.label, answer.explanation, answer.failure) == (label, explanation, failure)


def test_explanation_may_be_left_out_where_it_is_not_wanted(params):
    answer = parse_answer("Категория: посуда", params.prompt, params.labels.names, needs_explanation=False)
    assert answer.label == "посуда"


@given(raw=st.text())
def test_never_a_default_class(raw):
    from stages.labelling.config import Prompt

    prompt = Prompt(
        reasoning_prefix="",
        reasoning_tokens=0,
        name="p",
        template="t",
        category_prefix="Категория: ",
        explanation_prefix="Пояснение:",
        chat=True,
        thinking=False,
    )
    answer = parse_answer(raw, prompt, ["обувь"], needs_explanation=False)
    assert bool(answer.label) != bool(answer.failure)
    assert answer.label in ("", "обувь")
