import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.ingestion.cleaning import MAX_RAW_CHARS, _plain, clean
from stages.ingestion.personal_data import mask_personal_data


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
        ("размер <L мал, а >XL велик", "размер <L мал, а >XL велик"),
        ("размер <S мал, а >M велик", "размер <S мал, а >M велик"),
        ("рост <170 и >165 ок, a<b и c>d, <b and c> тоже", "рост <170 и >165 ок, a<b и c>d, <b and c> тоже"),
        ("Ожидание<реальность I <b>love</b> it", "Ожидание<реальность I love it"),
        ('<a href="http://x.ru?a=1&amp;b" target=_blank disabled>сайт</a><P\nCLASS=x>да</ p>', "сайт да</ p>"),
        ("до<!-- 5 > 3 -- <b> -->после<script>if (a<b) {}</script>!", "до после !"),
        ("до <!-- не закрыто, <i>но сказано</i>", "до <!-- не закрыто, но сказано"),
        ("&lt;b&gt;да&lt;/b&gt;, размер &lt;L мал", "да , размер <L мал"),
        ("&amp;amp;quot;мир&amp;amp;quot;", '"мир"'),
        ("&#" + "1" * 5000 + ";", "\ufffd"),
        ("за\ud800мок", "за мок"),
        ("ёлка, Ёж", "ёлка, Ёж"),
    ],
)
def test_clean(raw, cleaned):
    assert clean(raw) == cleaned


@given(st.text())
def test_clean_is_stable_for_plain_text_and_never_raises(text):
    cleaned = clean(text)
    assert cleaned == cleaned.strip()
    assert "\n" not in cleaned


# Whatever a pattern looks for, in pieces that nearly make one and in whole ones.
PIECES = st.sampled_from(
    r"""< > / b i p <b <b> </b> <!-- --> <script> </script> & amp; &lt; &#60; " = _x000D_ й ё х [ ] [ник] [телефон] @ .
    , : - _ ( ) + № 1 7 8 12 000 900 4510 123456 12345678901 112-233-445 RB123456789CN ivan ivan_test example com рф
    t.me/ тг tg инст ник тел карта снилс паспорт серия загран собака точка 1111 4111-1111-1111-1111""".split()  # noqa: SIM905
) | st.sampled_from([" ", "\n", "\u00a0", " в ", "\u200b", "\u0306", "\u0301" * 40])


@settings(max_examples=1000, deadline=None)
@given(st.lists(PIECES | st.text(max_size=2), max_size=25).map("".join))
def test_what_is_clean_stays_as_it_is(text):
    assert clean(clean(text)) == clean(text)


# One for each pattern, and for what is behind them: a number's groups, escapes, the sorting of marks.
NASTY = (
    "1", "1 ", "12-", "5 000 ", "8 900 000 00 00 ", "4111 1111 1111 1111 ", "+7", "8(", "a@", "a.", "a@a.", "@", "@a.",
    "a_", "ivan собака ", "(собака)", "a@b . ", "https://", "t.me/.", "tg:", "тг ", "тел ", "паспорт ", "серия 45 ",
    "AB123", "<", "<b", "<b ", "</", '<a x="', "<a x='\"", "<!--", "-->", "<script>", "</script>", "<script ", "&",
    "&amp;", "&#1", "_x000", "_x000D_", " ", "\u200b", "и\u0306", "\u0301\u0316",
)  # fmt: skip
MEBIBYTE = 2**20


@pytest.mark.parametrize("piece", NASTY)
def test_time_grows_with_the_length_and_not_with_its_square(piece):
    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length]
        started = time.process_time()
        mask_personal_data(_plain(text))
        return time.process_time() - started

    # A square would make sixteen times as much of four times the length; a hundredth of a second is noise.
    quarter = min(seconds(2**14) for _ in range(2))
    assert seconds(2**16) < 10 * max(quarter, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("piece", NASTY)
def test_a_cell_of_a_mebibyte_takes_seconds(piece):
    started = time.process_time()
    mask_personal_data(_plain((piece * MEBIBYTE)[:MEBIBYTE]))
    assert time.process_time() - started < 120


def test_of_an_endless_cell_the_beginning_is_looked_at():
    started = time.process_time()
    assert clean("а@" * 10_000_000) == "а@" * (MAX_RAW_CHARS // 2)
    assert time.process_time() - started < 5
