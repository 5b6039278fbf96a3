import json

import pandas as pd

from stages.listing.doubtful import doubtful
from stages.listing.reviews import LONGEST, each, listing

ROWS = pd.DataFrame(
    {
        "text": ["</script>", "ж" * 3000, "кофта"],
        "label": ["одежда", "обувь; сапоги", "одежда"],
        "sure": [0.987, float("nan"), 0.5],
    }
)


def test_values_come_by_how_many_rows_have_them_and_rows_point_at_them() -> None:
    facets = {"category": each(ROWS["label"]), "reason": [["a", "b"], [], ["b"]]}
    made = listing(ROWS, facets, {"label": ("label", "sure")}, ["one", "two", "three"])
    # A category with a semicolon is one category.
    assert made["facets"] == [
        {"name": "category", "values": ["одежда", "обувь; сапоги"]},
        {"name": "reason", "values": ["b", "a"]},
    ]
    assert [row[1] for row in made["rows"]] == [[[0], [1, 0]], [[1], []], [[0], [0]]]
    assert [row[2] for row in made["rows"]] == [[["одежда", 0.99]], [["обувь; сапоги", None]], [["одежда", 0.5]]]
    assert [row[3] for row in made["rows"]] == ["one", "two", "three"]


def test_a_long_text_is_cut_and_json_has_no_nan() -> None:
    made = listing(ROWS, {"category": each(ROWS["label"])}, {"label": ("label", "sure")}, ["", "", ""])
    assert len(made["rows"][1][0]) == LONGEST
    json.dumps(made, allow_nan=False)


def test_without_rows_there_is_an_empty_list() -> None:
    none = ROWS.iloc[:0]
    assert listing(none, {"category": each(none["label"])}, {"label": ("label", None)}, []) == {
        "facets": [{"name": "category", "values": []}],
        "facts": ["label"],
        "rows": [],
    }


def test_reasons_are_counted_over_all_rows() -> None:
    said = {f"{who}{column}": ["обувь", "обувь"] if not column else [0.5, 0.5]
            for who in ("teacher", "second opinion", "student") for column in ("", " confidence")}  # fmt: skip
    rows = pd.DataFrame(
        {"text": ["a", "b"], "label": "одежда", "confidence": 0.9, "split": "train", "doubt": [0.9, 0.8], **said}
    ).assign(reasons=[["student"], ["student", "low confidence"]])
    made = doubtful(rows, {"labels": 2, "doubtful": 2, "read": 2, "shown": 2})
    assert made["reasons"] == {"the student says another": 2, "low confidence": 1}
    assert made["list"]["rows"][1][3] == "doubt 0.80, train: the student says another, low confidence"
