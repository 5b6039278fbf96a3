import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.ingestion.cleaning import clean


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("Платье_x000D_\nсупер", "Платье супер"),
        ("мой <br/> &quot;мир&quot; 5 &lt; 6", 'мой "мир" 5 < 6'),
        ("й из двух знаков", "й из двух знаков"),
        ("не\u200bви\ufeffди\u00adмо", "невидимо"),
        ("пишите me@mail.ru или +7 (912) 345-67-89", "пишите [почта] или [телефон]"),
        ("карта 4276 1234 5678 9012 трек RB123456789CN", "карта [карта] трек [номер]"),
        ("параметры 90-60-90, рост 165, размер 44-46", "параметры 90-60-90, рост 165, размер 44-46"),
        ("<3 люблю", "<3 люблю"),
    ],
)
def test_clean(raw, cleaned):
    assert clean(raw) == cleaned


@given(st.text())
def test_clean_is_stable_for_plain_text_and_never_raises(text):
    cleaned = clean(text)
    assert cleaned == cleaned.strip()
    assert "\n" not in cleaned
