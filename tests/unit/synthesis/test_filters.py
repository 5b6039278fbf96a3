import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.measures.steps import became
from stages.running.errors import ConfigError
from stages.synthesis.config import Filters
from stages.synthesis.filters import (
    Known,
    apply_filters,
    assistant_talk,
    copied,
    duplicate,
    length,
    near_duplicate,
    relabelled,
    repetition,
    script,
    unfaithful,
)
from stages.synthesis.patterns import read_patterns
from stages.synthesis.reasons import REASONS
from tests.conftest import ROOT

LIMITS = {
    "min_chars": 10,
    "max_chars": 80,
    "script": "cyrillic",
    "min_script_share": 0.8,
    "assistant_talk": str(ROOT / "conf/generate/assistant_talk.ru.txt"),
    "injection": str(ROOT / "conf/generate/injection.ru.txt"),
    "min_noted_share": 0.0,
    "dictionary": "ru",
    "max_copied_words": 4,
    "max_similarity": 0.9,
    "readers": "both",
}
RUSSIAN = read_patterns(LIMITS["assistant_talk"])
FILTERS = Filters(**LIMITS, relabel_policy="relabel", relabel_confidence=0.6)


def directions(*degrees: float) -> np.ndarray:
    """Unit rows of two dimensions at these angles."""
    radians = np.deg2rad(np.array(degrees, dtype=np.float32))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("Чайник Bosch греет быстро, крышка плотная, управлять по Wi-Fi не нужно 😊", False),
        ("Ёмкость 5 л — хватает на семью", False),
        ("Great kettle, boils fast", True),
        ("Хороший чайник, 质量很好", True),
        ("Хороший чайник, καλό", True),
        ("Хороший чайн\ufffd", True),
        ("👍👍👍 5+", True),
        ("", True),
    ],
)
def test_script(text: str, fails: bool) -> None:
    assert script([text], "cyrillic", 0.8).tolist() == [fails]


@pytest.mark.parametrize(
    "text",
    [
        "Конечно, ожидала большего, но за эти деньги нормально",
        "К сожалению, не могу носить эти туфли: жмут",
        "Вот уже месяц пользуюсь, всё работает",
        "Товар пришёл быстро, отзывы не обманули",
        "Размер 38-39, цена/качество = супер ;)",
        "Первый раз заказываю, второй возьму тоже",
    ],
)
def test_reviews_are_not_assistant_talk(text: str) -> None:
    assert not assistant_talk([text], RUSSIAN).any()


@pytest.mark.parametrize(
    "text",
    [
        "Конечно, вот отзыв на чайник",
        "Вот несколько вариантов отзывов",
        "Как языковая модель, я не пользуюсь обувью",
        "Извините, но я не могу помочь с этой просьбой",
        "Хорошие туфли. Отзыв: удобные",
        "Товар: чайник",
        "Чайник хороший. О чём: цена",
        "КАТЕГОРИЯ: обувь",
        "Хорошие туфли<|im_end|>",
        "**Плюсы** лёгкие",
        "# Отличный чайник",
        "Отличный чайник ```",
        "Купила [название товара] в подарок",
        "Смотрите на https://example.com",
        "<p>Хорошие туфли</p>",
        "print('Хорошие туфли')",
        "if (x == 1) { чайник }",
    ],
)
def test_assistant_talk(text: str) -> None:
    assert assistant_talk([text], RUSSIAN).all()


def test_length_counts_characters_without_outer_space() -> None:
    assert length(["а" * 9, "а" * 10, "а" * 80, "а" * 81, "  " + "а" * 9 + "  "], 10, 80).tolist() == [
        True, False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("Очень, очень, очень довольна покупкой!!!!!!!!!!!!", False),
        ("Не жмут, не трут, не скользят, не промокают", False),
        ("Хорошие туфли. Туфли мягкие, туфли лёгкие, рекомендую всем", False),
        ("Класс", False),
        ("да да да да", True),
        ("Туфли хорошие, мягкие туфли, лёгкие туфли, новые туфли", True),
        ("хорошо и дёшево, хорошо и дёшево, хорошо и дёшево", True),
        ("Ткань приятная к телу. Ткань приятная к телу.", True),
        ("Чайник супеееееееееер", True),
    ],
)
def test_repetition(text: str, fails: bool) -> None:
    assert repetition([text]).tolist() == [fails]


def test_duplicates_ignore_case_punctuation_and_yo() -> None:
    texts = ["Всё ПОДОШЛО!", "Чайник греет", "чайник, греет...", "Чай-ник греет", "Чайник шумит"]
    assert duplicate(texts, ["все подошло"]).tolist() == [True, False, True, True, False]


def test_copied_fails_only_beyond_the_allowed_run() -> None:
    original = ["Туфли пришли быстро, размер подошёл, каблук удобный"]
    four_words = "Мои туфли пришли быстро, размер большой"
    five_words = "Мои туфли пришли быстро: размер подошел"
    assert copied([four_words, five_words, "Туфли"], original, max_copied_words=4).tolist() == [False, True, False]


def test_near_duplicates_of_known_rows_and_of_earlier_ones() -> None:
    # cos 10° = 0.985, cos 30° = 0.866. The third row is near the second, which itself fails and so does not count.
    rows = directions(90, 10, 20, 95, 150)
    assert near_duplicate(rows, directions(0), 0.98).tolist() == [False, True, False, True, False]
    assert near_duplicate(rows, directions(), 0.98).tolist() == [False, False, True, True, False]


def test_the_first_failing_filter_gives_the_reason() -> None:
    texts = {
        "Чайник греет быстро и тихо": "",
        "Nice kettle, boils fast": "script",
        "Отзыв: чайник греет": "assistant_talk",
        "Чайник": "length",
        "Чайник чайник чайник чайник": "repetition",
        "Утюг раздевает неба молоток по утрам": "unlikely",
        "Чашка быстро россится, саундбары молчат": "unknown_word",
        "чайник греет, быстро и тихо": "duplicate",
        "Купила туфли на низком каблуке для мамы": "copied",
        "Туфли ТЯЖЁЛЫЕ, жмут": "duplicate",
        "Сапоги промокают в первый же дождь": "near_duplicate",
        "Утюг лёгкий, шнур длинный": "",
    }
    known = Known(["Взяла туфли на низком каблуке для мамы"], ["Туфли тяжёлые: жмут"], directions(0, 20))
    candidates = pd.DataFrame({"text": list(texts), "mean_logprob": -1.5, "attributes": "{}"}, index=range(5, 17))
    candidates.loc[10, "mean_logprob"] = -1.51
    embeddings = directions(90, 90, 90, 90, 90, 90, 90, 90, 90, 90, 21, 130)
    filtered = apply_filters(candidates, embeddings, known, FILTERS, min_mean_logprob=-1.5)
    assert dict(zip(filtered["text"], filtered["reason"], strict=True)) == texts
    counts = became(filtered, REASONS)
    assert (counts["accepted"], counts["duplicate"], counts["another_category"]) == (2, 2, 0)
    assert sum(counts.values()) == len(texts)
    assert list(counts) == ["accepted", *REASONS]


def test_a_text_keeps_to_the_words_of_its_notes() -> None:
    texts = ["Слипоны помогают ногам, НЕ устают", "Ноги, правда, не устают!", "Что угодно"]
    notes = ["ноги не устают", "ноги не устают", ""]
    assert unfaithful(texts, notes, 1.0).tolist() == [True, False, False]
    assert unfaithful(texts, notes, 0.6).tolist() == [False, False, False]
    candidates = pd.DataFrame({"text": texts, "mean_logprob": -0.1})
    candidates["attributes"] = [json.dumps({"notes": note}) for note in notes]
    filters = dataclasses.replace(FILTERS, min_noted_share=1.0, min_chars=5)
    filtered = apply_filters(candidates, directions(0, 60, 120), Known([], [], directions()), filters)
    assert filtered["reason"].to_list() == ["unfaithful", "", ""]


def test_the_examples_of_the_prompt_are_no_reviews() -> None:
    candidates = pd.DataFrame({"text": ["Звук огонь, а вот заряд так себе", "Звук чистый, бас глубокий"]})
    candidates = candidates.assign(mean_logprob=-0.1, attributes="{}")
    known = Known([], [], directions(), shown=["звук огонь а вот заряд так себе"])
    filtered = apply_filters(candidates, directions(0, 90), known, FILTERS)
    assert filtered["reason"].to_list() == ["duplicate", ""]


def test_a_candidate_that_failed_does_not_stand_in_the_way_of_the_next() -> None:
    candidates = pd.DataFrame({"text": ["Чайник", "Чайник греет быстро и тихо"], "mean_logprob": -1.0})
    candidates = candidates.assign(attributes="{}")
    filtered = apply_filters(candidates, directions(0, 1), Known([], [], directions()), FILTERS)
    assert filtered["reason"].to_list() == ["length", ""]


def test_no_candidates_give_no_rows() -> None:
    empty = pd.DataFrame({"text": pd.Series(dtype=str), "mean_logprob": pd.Series(dtype=float)})
    empty["attributes"] = pd.Series(dtype=str)
    assert apply_filters(empty, directions(), Known([], [], directions()), FILTERS)["reason"].to_list() == []


@pytest.mark.parametrize(
    ("policy", "labels", "reasons"),
    [
        ("drop", ["обувь", "обувь", "обувь", "обувь", "обувь"], ["", "D", "D", "D", "length"]),
        ("relabel", ["обувь", "посуда", "обувь", "обувь", "обувь"], ["", "", "D", "D", "length"]),
        ("keep", ["обувь", "обувь", "обувь", "обувь", "обувь"], ["", "", "", "", "length"]),
    ],
)
def test_relabelling(policy: str, labels: list[str], reasons: list[str]) -> None:
    # In turn: agreed; sure of a rare class; unsure of a rare class; sure of a common class; rejected before.
    candidates = pd.DataFrame({"label": ["обувь"] * 5, "reason": ["", "", "", "", "length"]}, index=[3, 1, 4, 0, 9])
    teacher, confidence = ["обувь", "посуда", "посуда", "одежда", ""], [0.3, 0.6, 0.59, 0.9, 0.0]
    filters = Filters(**LIMITS, relabel_policy=policy, relabel_confidence=0.6)
    result = relabelled(candidates, teacher, confidence, {"обувь", "посуда"}, filters)
    assert result["label"].to_list() == labels
    assert result["reason"].str.replace("another_category", "D").to_list() == reasons
    assert result["intended"].to_list() == ["обувь"] * 5
    assert result["read_as"].to_list() == teacher


def test_impossible_thresholds_are_refused() -> None:
    with pytest.raises(ConfigError, match="min_chars exceeds"):
        Filters(**(LIMITS | {"min_chars": 90}), relabel_policy="drop", relabel_confidence=0.5)


FILTERS_OF_TEXTS: list[Callable[[list[str]], np.ndarray]] = [
    lambda texts: script(texts, "cyrillic", 0.8),
    lambda texts: script(texts, "latin", 0.8),
    lambda texts: assistant_talk(texts, RUSSIAN),
    lambda texts: length(texts, 10, 80),
    repetition,
    lambda texts: duplicate(texts, texts[:1]),
    lambda texts: copied(texts, texts[:1], 3),
]


@given(st.lists(st.text(), max_size=6))
def test_any_unicode_gets_an_answer(texts: list[str]) -> None:
    for texts_fail in FILTERS_OF_TEXTS:
        failing = texts_fail(texts)
        assert failing.dtype == bool
        assert failing.shape == (len(texts),)


@given(st.lists(st.sampled_from(["чайник", "греет", "хорошо", "и"]), max_size=60))
def test_a_loop_of_any_clause_is_found(clause: list[str]) -> None:
    if 1 <= len(clause) <= 8:
        assert repetition([" ".join(clause * 4)]).all()


def test_another_script_is_a_setting() -> None:
    texts = ["The dice are fair and the bag is handy", "Кости ровные", "Fair dicе", "Naïve but über fine"]
    # The third has a Cyrillic letter in a Latin word.
    assert script(texts, "latin", 0.8).tolist() == [False, True, True, False]


def test_patterns_of_another_language_are_a_file(tmp_path: Path) -> None:
    english = read_patterns(str(ROOT / "conf/generate/assistant_talk.en.txt"))
    talk = ["Sure! Here is a review for you", "As an AI language model I cannot", "Notes: fair dice"]
    reviews = ["Here are my two cents: fair dice", "My son reads it every evening, a lovely text"]
    assert assistant_talk(talk, english).all()
    assert not assistant_talk(reviews, english).any()
    (tmp_path / "none.txt").write_text("# nothing\n\n", encoding="utf-8")
    assert not assistant_talk(talk, read_patterns(str(tmp_path / "none.txt"))).any()


def test_a_bad_pattern_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("# fine\nотзыв:\n(незакрытая\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad.txt, line 3: '\(незакрытая' is no regular expression"):
        read_patterns(str(tmp_path / "bad.txt"))
    with pytest.raises(ConfigError, match="does not exist"):
        read_patterns(str(tmp_path / "absent.txt"))
