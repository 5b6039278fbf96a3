from __future__ import annotations

from tokenizers import Tokenizer, models

from stages.distilling.words import UNKNOWN, Vocabulary, own_words, plain, words_of


def tokens(vocabulary: Vocabulary, text: str) -> list[str]:
    return vocabulary.tokenizer.encode(text).tokens[1:]


def test_a_form_that_was_never_seen_has_the_stem_of_those_that_were():
    vocabulary = Vocabulary(["кастрюля", "кастрюлю", "плед"])
    first, *rest = tokens(vocabulary, "Кастрюльный")
    assert first == "кастрюл"
    assert vocabulary.stems["кастрюл"] == ["кастрюля", "кастрюлю"]
    # What is left of the word says nothing.
    assert all(vocabulary.ids[token] < vocabulary.silent for token in rest)
    assert tokens(vocabulary, "кастрюля") == ["кастрюля"]


def test_short_words_are_no_stems():
    assert not Vocabulary(["плед"]).stems
    assert list(Vocabulary(["пледы"]).stems) == ["плед"]


def test_case_and_the_dots_of_a_letter_make_no_other_word():
    assert words_of(["Тёплый плед!", "теплый ПЛЕД"]) == {"теплый": 2, "плед": 2}
    assert plain("Ёлка") == "елка"
    assert tokens(Vocabulary(["теплый"]), "ТЁПЛЫЙ") == ["теплый"]


def test_every_text_has_a_token_and_strange_ones_say_nothing():
    vocabulary = Vocabulary(["плед"])
    for text in ("", "?!", "漢字", "xyz"):
        ids = vocabulary.tokenizer.encode(text).ids
        assert ids
        assert max(ids) < vocabulary.silent
    assert tokens(vocabulary, "漢字") == [UNKNOWN]


def test_an_encoders_own_words_are_whole_and_in_the_script_of_the_texts():
    pieces = ["▁Плед", "▁на", "ами", "▁blanket", "▁плед", "▁чай2", "Ġстол", "▁"]
    tokenizer = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="▁"))
    assert own_words(tokenizer, ["Тёплый плед XL"]) == ["плед", "стол"]
    assert own_words(tokenizer, ["123"]) == []
