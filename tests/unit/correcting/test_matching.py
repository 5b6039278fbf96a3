"""Which review an answer is of, and what it may be used for."""

import pandas as pd
import pytest

from stages.common.texts import letters, text_id
from stages.correcting.matching import Matched, match
from stages.running.errors import DataError

NAMES = ["обувь", "одежда"]
SPLIT_OF = {
    "Туфли малы": "train",
    "Кеды жмут": "train",
    "Кофта села": "validation",
    "Платье супер": "test",
    "Что-то непонятное": "test",
}


def answers(*rows: tuple[str, str]) -> pd.DataFrame:
    said = [(text_id(text), text, label, "random") for text, label in rows]
    return pd.DataFrame(said, columns=["id", "text", "label", "drawn"], dtype=str)


def matched(*rows: tuple[str, str]) -> Matched:
    """With a teacher who gave no label to кеды, nor to the last review."""
    reviews = pd.DataFrame({"text": SPLIT_OF.keys(), "split": SPLIT_OF.values()})
    reviews["id"] = reviews["text"].map(text_id)
    labelled = reviews.loc[[0, 2, 3], "id"]
    return match(answers(*rows), reviews, set(labelled), {letters("Сапоги промокли")}, NAMES, "answers.csv")


def test_the_split_says_what_an_answer_is_good_for() -> None:
    found = matched(
        ("Туфли малы", "обувь"),
        ("Кофта села", "одежда"),
        ("Платье супер", "обувь"),
        ("Что-то непонятное", "обувь"),
    )
    assert found.answered[["row", "id", "label", "split"]].to_numpy().tolist() == [
        [2, text_id("Туфли малы"), "обувь", "train"],
        [3, text_id("Кофта села"), "одежда", "validation"],
        [4, text_id("Платье супер"), "обувь", "test"],
        # What is scored needs no label of the teacher's.
        [5, text_id("Что-то непонятное"), "обувь", "test"],
    ]
    assert found.counts() == {"answers": 4, "learnt": 1, "temperature": 1, "scored": 2, "set_aside": 0}


def test_what_cannot_be_used_is_set_aside_with_a_reason_and_nothing_is_lost() -> None:
    found = matched(
        ("Туфли малы", "обувь"),
        ("туфли малы!", "обувь"),
        ("Кеды жмут", "обувь"),
        ("Сапоги промокли.", "обувь"),
        ("These books are fine", "books"),
    )
    assert found.set_aside[["row", "reason"]].to_numpy().tolist() == [
        [3, "the same review as in a row before"],
        [4, "the teacher gave no label that could be read"],
        [5, "also in a checked file"],
        [6, "not among the reviews of this run"],
    ]
    assert found.set_aside["label"].to_list()[-1] == "books"
    assert found.counts() == {"answers": 5, "learnt": 1, "temperature": 0, "scored": 0, "set_aside": 4}


def test_an_answer_to_the_same_letters_is_one_to_the_review_of_this_run() -> None:
    row = matched(("ТУФЛИ МАЛЫ", "обувь")).answered.iloc[0]
    assert (row["id"], row["text"]) == (text_id("Туфли малы"), "Туфли малы")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("Кофта села", "одежда"), ("Туфли малы", "books")], r"answers.csv, row 3: label 'books' is not one of обувь"),
        ([("Туфли малы", "обувь"), ("туфли, малы", "одежда")], r"several labels \(row 2 'обувь', row 3 'одежда'\)"),
    ],
)
def test_faults_name_file_and_row(rows: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        matched(*rows)


def test_no_answers_at_all() -> None:
    found = matched()
    assert found.answered.empty
    assert found.set_aside.empty
    assert set(found.counts().values()) == {0}
