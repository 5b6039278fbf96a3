"""Written examples among a shop's sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.common.texts import text_id
from stages.mixing.config import Mix
from stages.mixing.rows import mixed_rows
from stages.mixing.talk import sentences
from stages.running.errors import ConfigError

WRITTEN = pd.DataFrame(
    [("Кеды жмут!", "обувь", "кеды", "жмут"), ("платье: село", "одежда", "платье", "село")],
    columns=["text", "label", "product", "notes"],
)
TALK = ["Доставили за три дня.", "Продавец вежливый :)", "Спасибо магазину"]
SETTINGS = Mix(copies=1, sentences=2, min_confidence=0.8, max_chars=40)
# Letters, spaces, what ends a sentence and what does not.
REVIEW = st.text(alphabet="абв .!?…),:\n", max_size=80)


def mixed(talk: Sequence[str], written: pd.DataFrame = WRITTEN, seed: int = 0, **settings: int) -> pd.DataFrame:
    options = {"copies": 1, "sentences": 2} | settings
    return mixed_rows(written, talk, Mix(min_confidence=0.8, max_chars=40, **options), np.random.default_rng(seed))


def test_a_review_falls_into_its_sentences_each_once() -> None:
    texts = ["Спасибо продавцу) Шло две недели… Супер!!! Рекомендую магазин", "Шло две недели…\nСпасибо продавцу)"]
    assert sentences(texts, 40) == ["Рекомендую магазин", "Спасибо продавцу)", "Шло две недели…"]


def test_what_says_nothing_or_too_much_is_no_sentence() -> None:
    assert sentences(["Супер! Цена 5.50 руб. Спасибо продавцу, всё хорошо"], 20) == ["Цена 5.50 руб."]
    assert sentences([], 40) == []


@given(st.lists(REVIEW, max_size=5), st.integers(1, 60))
def test_sentences_are_parts_of_reviews_whatever_these_are(texts: list[str], most: int) -> None:
    found = sentences(texts, most)
    assert found == sorted(set(found)) == sentences(reversed(texts), most)
    for sentence in found:
        assert len(sentence) <= most
        assert sentence == sentence.strip()
        assert any(sentence in text for text in texts)


@given(
    talk=st.lists(REVIEW.filter(str.strip).map(lambda text: f"{text.strip()}."), max_size=4, unique=True),
    copies=st.integers(0, 3), most=st.integers(1, 5), seed=st.integers(0, 9),
)  # fmt: skip
def test_a_row_is_its_example_among_sentences_of_the_shop(talk: list[str], copies: int, most: int, seed: int) -> None:
    rows = mixed(talk, seed=seed, copies=copies, sentences=most)
    assert list(rows.columns) == [*WRITTEN.columns, "id"]
    assert rows["id"].to_list() == rows["text"].map(text_id).to_list()
    assert rows["text"].is_unique
    assert len(rows) <= len(WRITTEN) * copies
    assert rows.empty == (not talk or not copies)
    told = dict(zip(WRITTEN["label"], ["Кеды жмут!", "платье: село."], strict=True))
    about = WRITTEN.set_index("label")
    for row in rows.itertuples():
        assert (row.product, row.notes) == tuple(about.loc[row.label, ["product", "notes"]])
        before, _, after = f" {row.text} ".partition(f" {told[row.label]} ")
        assert 1 <= words(before + " " + after, talk) <= min(most, len(talk))


def test_a_sentence_without_an_end_gets_one() -> None:
    assert set(mixed(["Спасибо магазину"], WRITTEN[1:], copies=50)["text"]) == {
        "платье: село. Спасибо магазину.", "Спасибо магазину. платье: село."
    }  # fmt: skip


def words(rest: str, talk: list[str]) -> int:
    """How many of `talk`, each at most once, make up `rest`; 99 if they do not."""
    rest = rest.strip()
    if not rest:
        return 0
    counts = [
        1 + words(rest[len(said) :], [other for other in talk if other != said])
        for said in talk
        if rest == said or rest.startswith(f"{said} ")
    ]
    return min(counts, default=99)


def test_an_example_stands_before_between_and_behind_what_is_said() -> None:
    texts = set(mixed(TALK[:2], WRITTEN[:1], copies=200)["text"])
    first, second, told = *TALK[:2], "Кеды жмут!"
    pairs = [(first, second), (second, first)]
    assert texts == {f"{told} {first}", f"{told} {second}", f"{first} {told}", f"{second} {told}"} | {
        " ".join([*pair[:place], told, *pair[place:]]) for pair in pairs for place in range(3)
    }


def test_the_seed_decides_and_nothing_else() -> None:
    pd.testing.assert_frame_equal(mixed(TALK, seed=7, copies=2), mixed(TALK, seed=7, copies=2))
    assert not mixed(TALK, seed=7, copies=9)["text"].equals(mixed(TALK, seed=8, copies=9)["text"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"copies": -1}, r"mix\.copies=-1 must not be negative"),
        ({"sentences": 0}, r"mix\.sentences=0 must be at least 1; mix\.copies=0 mixes nothing"),
        ({"min_confidence": 1.1}, r"mix\.min_confidence=1\.1 must lie within 0 and 1"),
        ({"max_chars": 0}, r"mix\.max_chars=0 must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SETTINGS, **settings)
