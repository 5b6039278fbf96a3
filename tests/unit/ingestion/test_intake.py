from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.common.errors import DataError
from stages.common.gold import COLUMNS
from stages.common.texts import letters
from stages.ingestion.config import Data, Gold
from stages.ingestion.intake import take_in, take_in_gold, without
from stages.ingestion.tables import GOLD

DATA = Data(
    name="t", path="t.csv", text_column="text", gold=Gold(folder=".", sets={}), min_chars=2, max_chars=100,
    max_file_mib=10, limit=None, validation_share=0.2, test_share=0.1,
)  # fmt: skip
MANY = [f"отзыв номер {number} хороший" for number in range(200)]


def test_counts_add_up_and_reasons_are_given():
    bad = ["", "  ", "5", "…", "я" * 101, "Отзыв НОМЕР 3: хороший!", "в золоте"]
    intake = take_in(pd.Series(MANY + bad), DATA, reserved=frozenset({letters("В золоте!")}))
    assert len(intake.reviews) + len(intake.quarantined) + intake.duplicates == len(MANY) + len(bad)
    assert intake.duplicates == 1
    assert intake.quarantined["reason"].to_list() == [
        "empty", "empty", "no letters", "no letters", "longer than 100 characters", "also in a checked file"
    ]  # fmt: skip
    assert intake.quarantined["row"].min() == 200


def test_a_row_keeps_its_split_when_others_come_and_go():
    whole = take_in(pd.Series(MANY), DATA).reviews.set_index("id")["split"]
    part = take_in(pd.Series(MANY[50:]), DATA).reviews.set_index("id")["split"]
    assert (whole.loc[part.index] == part).all()
    assert 0.1 < (whole == "validation").mean() < 0.3


@given(st.lists(st.text(max_size=120)))
def test_nothing_is_lost_whatever_comes(texts):
    intake = take_in(pd.Series(MANY + texts, dtype=object), DATA)
    assert len(intake.reviews) + len(intake.quarantined) + intake.duplicates == len(MANY) + len(texts)


def test_too_few_rows():
    with pytest.raises(DataError, match="1 of 1 rows are usable, too few"):
        take_in(pd.Series(["один отзыв"]), DATA)


def test_huge_cell_is_set_aside_and_cut():
    intake = take_in(pd.Series([*MANY, "я" * 10_000_000]), replace(DATA, max_chars=2000))
    assert intake.quarantined["reason"].to_list() == ["longer than 2000 characters"]
    assert len(intake.quarantined["raw"].iloc[0]) == 200


def test_what_is_scored_is_not_calibrated_with():
    rows = pd.DataFrame({"text": ["Туфли!", "кеды", "сапоги"]})
    left = without(rows, pd.DataFrame({"text": ["туфли", "Сапоги..."]}))
    assert left["text"].to_list() == ["кеды"]


def test_gold_keeps_labelled_rows_and_refuses_unknown_labels():
    frame = pd.DataFrame(
        {"text": ["туфли", "что-то", "туфли"], "label": ["обувь", "", "обувь"], "flag": ["clear", "", ""]}
    )
    gold = take_in_gold(frame, "g", "text", ["обувь"], "g.csv")
    assert gold[["text", "label", "flag", "stratum"]].to_numpy().tolist() == [["туфли", "обувь", "clear", ""]]
    with pytest.raises(DataError, match=r"g\.csv, row 0: label 'обувь' is not one of посуда"):
        take_in_gold(frame, "g", "text", ["посуда"], "g.csv")
    with pytest.raises(DataError, match=r"g\.csv has no row with a label"):
        take_in_gold(frame.assign(label=" "), "g", "text", ["обувь"], "g.csv")
    with pytest.raises(DataError, match="no column 'label'"):
        take_in_gold(frame[["text"]], "g", "text", ["посуда"], "g.csv")


def test_checked_rows_have_the_columns_that_their_readers_expect() -> None:
    assert tuple(GOLD.columns) == COLUMNS
