import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.labelling.answers import parse_answer


@pytest.mark.parametrize(
    ("raw", "label", "explanation", "failure"),
    [
        ("КАТЕГОРИЯ: обувь\nПОЯСНЕНИЕ: названы туфли", "обувь", "названы туфли", ""),
        ("  КАТЕГОРИЯ:  нет товара \n ПОЯСНЕНИЕ:  только  доставка ", "нет товара", "только доставка", ""),
        ("Обувь", "", "", "no line КАТЕГОРИЯ:"),
        ("КАТЕГОРИЯ: похоже на обувь\nПОЯСНЕНИЕ: да", "", "", "unknown category 'похоже на обувь'"),
        ("КАТЕГОРИЯ: обувь\nпотому что туфли", "", "", "no line ПОЯСНЕНИЕ:"),
        ("КАТЕГОРИЯ: обувь\nПОЯСНЕНИЕ: ...", "", "", "empty explanation"),
        ("", "", "", "no line КАТЕГОРИЯ:"),
    ],
)
def test_strict_format(raw, label, explanation, failure, params):
    answer = parse_answer(raw, params.prompt, params.labels.names, needs_explanation=True)
    assert (answer.label, answer.explanation, answer.failure) == (label, explanation, failure)


def test_explanation_may_be_left_out_where_it_is_not_wanted(params):
    answer = parse_answer("КАТЕГОРИЯ: посуда", params.prompt, params.labels.names, needs_explanation=False)
    assert answer.label == "посуда"


@given(raw=st.text())
def test_never_a_default_class(raw):
    from stages.common.config import Prompt

    prompt = Prompt(
        name="p",
        template="t",
        category_prefix="КАТЕГОРИЯ: ",
        explanation_prefix="ПОЯСНЕНИЕ:",
        chat=True,
        thinking=False,
    )
    answer = parse_answer(raw, prompt, ["обувь"], needs_explanation=False)
    assert bool(answer.label) != bool(answer.failure)
    assert answer.label in ("", "обувь")
