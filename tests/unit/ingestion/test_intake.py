from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.gold import COLUMNS
from stages.common.texts import letters
from stages.ingestion.config import Data, Gold
from stages.ingestion.intake import Counts, Intake, take_in_gold, without
from stages.ingestion.tables import GOLD
from stages.running.errors import DataError

DATA = Data(
    name="t", path="t.csv", text_column="text", gold=Gold(folder=".", sets={}), min_chars=2, max_chars=100,
    max_file_mib=10, limit=None, validation_share=0.2, test_share=0.1,
)  # fmt: skip
MANY = [f"отзыв номер {number} хороший" for number in range(200)]


def take_in(
    texts: list[str], data: Data = DATA, reserved: dict[str, str] | None = None, chunk: int = 1000
) -> tuple[pd.DataFrame, pd.DataFrame, Counts]:
    """Reviews, rows set aside and counts of texts that come `chunk` at a time."""
    intake = Intake(data, reserved)
    starts = range(0, len(texts), chunk)
    parts = [intake.take_in(range(len(texts))[at : at + chunk], texts[at : at + chunk]) for at in starts]
    reviews, quarantined = (pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))
    nothing = pd.DataFrame({"gold_set": []})
    return reviews, quarantined, intake.counts(nothing, nothing)


def test_counts_add_up_and_reasons_are_given():
    bad = ["", "  ", "5", "…", "я" * 101, "Отзыв НОМЕР 3: хороший!", "в золоте"]
    reviews, quarantined, counts = take_in(MANY + bad, reserved={letters("В золоте!"): "also in a checked file"})
    assert (counts.rows_out, counts.quarantined) == (len(reviews), len(quarantined))
    assert counts.rows_out + counts.quarantined + counts.duplicates == counts.rows_in == len(MANY) + len(bad)
    assert counts.duplicates == 1
    assert quarantined["reason"].to_list() == [
        "empty", "empty", "no letters", "no letters", "longer than 100 characters", "also in a checked file"
    ]  # fmt: skip
    assert counts.quarantine_reasons == quarantined["reason"].value_counts().to_dict()
    assert counts.splits == reviews["split"].value_counts().to_dict()
    assert quarantined["row"].min() == 200


def test_a_row_keeps_its_split_when_others_come_and_go():
    whole = take_in(MANY)[0].set_index("id")["split"]
    part = take_in(MANY[50:])[0].set_index("id")["split"]
    assert (whole.loc[part.index] == part).all()
    assert 0.1 < (whole == "validation").mean() < 0.3


@settings(max_examples=30)
@given(texts=st.lists(st.text(max_size=120) | st.sampled_from(MANY)), chunk=st.integers(min_value=50, max_value=220))
def test_nothing_is_lost_whatever_comes_in_whatever_chunks(texts, chunk):
    reviews, quarantined, counts = take_in(MANY + texts, chunk=chunk)
    assert len(reviews) + len(quarantined) + counts.duplicates == len(MANY) + len(texts)
    whole_reviews, whole_quarantined, whole_counts = take_in(MANY + texts, chunk=len(MANY) + len(texts))
    pd.testing.assert_frame_equal(reviews, whole_reviews)
    pd.testing.assert_frame_equal(quarantined, whole_quarantined)
    assert counts == whole_counts


def test_too_few_rows():
    with pytest.raises(DataError, match="1 of 1 rows are usable, too few"):
        take_in(["один отзыв"])


def test_too_few_for_a_split_names_the_parameter():
    only_train = [text for text, split in take_in(MANY)[0][["text", "split"]].to_numpy() if split == "train"]
    with pytest.raises(
        DataError, match=r"too few into validation: give more rows, or change data\.validation_share=0\.2"
    ):
        take_in(only_train[:20])
    with pytest.raises(DataError, match=r"0 of 1 rows are usable \(1 also in a checked file\)"):
        take_in(["в золоте"], reserved={letters("В золоте!"): "also in a checked file"})


def test_huge_cell_is_set_aside_and_cut():
    _, quarantined, _ = take_in([*MANY, "я" * 10_000_000], replace(DATA, max_chars=2000))
    assert quarantined["reason"].to_list() == ["longer than 2000 characters"]
    assert len(quarantined["raw"].iloc[0]) == 200


def test_a_cell_that_is_all_mark_up_is_set_aside_by_its_raw_length():
    _, quarantined, _ = take_in([*MANY, "<br/>" * 30_000 + "хорошо"])
    assert quarantined["reason"].to_list() == ["longer than 100000 characters with its mark-up"]


def test_the_quarantine_shows_no_personal_data():
    mark_up = "<a href='mailto:ivan@example.com'>"
    cells = ["пишите ivan&#64;example.com, " + "я" * 100, "я" * 192 + " +7 900 000-01-23", mark_up]
    _, quarantined, _ = take_in([*MANY, *cells])
    assert quarantined["raw"].str.slice(0, 20).to_list() == ["пишите [почта], яяяя", "я" * 20, "<a href='mailto:[поч"]
    assert not quarantined["raw"].str.contains("example|900").any()


def test_yo_and_ye_are_one_review_and_the_first_keeps_its_letters():
    reviews, quarantined, counts = take_in(
        [*MANY, "Ещё берём, всё подошло", "еще берем все подошло", "Мёд", "мед"],
        reserved={letters("МЕД!"): "also in a checked file"},
    )
    assert reviews["text"].to_list()[len(MANY) :] == ["Ещё берём, всё подошло"]
    assert counts.duplicates == 1
    assert quarantined["reason"].to_list() == ["also in a checked file"] * 2


def test_what_is_scored_is_not_calibrated_with():
    rows = pd.DataFrame({"text": ["Туфли!", "кеды", "сапоги"]})
    left = without(rows, pd.DataFrame({"text": ["туфли", "Сапоги..."]}))
    assert left["text"].to_list() == ["кеды"]


def gold_frame(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=range(2, 2 + len(columns["text"])))


def test_gold_keeps_labelled_rows_and_refuses_unknown_labels():
    frame = gold_frame(text=["туфли", "что-то", "Туфли!"], label=["обувь", "", "обувь"], flag=["clear", "", ""])
    gold = take_in_gold(frame, "g", ["обувь"], "g.csv")
    assert gold[["row", "text", "label", "flag", "stratum"]].to_numpy().tolist() == [[2, "туфли", "обувь", "clear", ""]]
    with pytest.raises(DataError, match=r"g\.csv, row 2: label 'обувь' is not one of посуда"):
        take_in_gold(frame, "g", ["посуда"], "g.csv")
    with pytest.raises(DataError, match=r"g\.csv has no row with a label"):
        take_in_gold(frame.assign(label=" "), "g", ["обувь"], "g.csv")
    with pytest.raises(DataError, match="no column 'label'"):
        take_in_gold(frame[["text"]], "g", ["посуда"], "g.csv")
    with pytest.raises(DataError, match="row 3: a label without a text"):
        take_in_gold(gold_frame(text=["туфли", " "], label=["обувь"] * 2), "g", ["обувь"], "g.csv")


def test_labels_of_gold_may_differ_in_case_and_spaces():
    frame = gold_frame(text=["туфли", "ни о чём", "чайник"], label=[" Обувь", "нет\xa0товара", "бытовая  техника"])
    names = ["обувь", "нет товара", "бытовая техника"]
    assert take_in_gold(frame, "g", names, "g.csv")["label"].to_list() == names


def test_two_labels_for_one_text_are_refused_with_their_rows():
    frame = gold_frame(text=["Сапоги", "чайник", "сапоги!"], label=["обувь", "посуда", "одежда"])
    with pytest.raises(DataError, match=r"1 texts have several labels \(row 2 'обувь', row 4 'одежда'\)"):
        take_in_gold(frame, "g", ["обувь", "одежда", "посуда"], "g.csv")


def test_checked_rows_have_the_columns_that_their_readers_expect() -> None:
    assert tuple(GOLD.columns) == COLUMNS
