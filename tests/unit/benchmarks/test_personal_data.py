"""What is masked and what is left alone, on the texts of the benchmark."""

import pandas as pd
import pytest

from benchmarks.personal_data import ALL, by_kind, read_rows


@pytest.mark.parametrize("half", ["held_out", "tuned"])
def test_nearly_all_personal_data_is_masked_and_hardly_anything_else(half: str) -> None:
    rows = read_rows()
    rows = rows[rows["half"] == half]
    assert (rows["raw"] == rows["wanted"]).sum() >= 70, "texts without personal data"
    for kind, found in by_kind(rows).items():
        assert found.precision is not None, kind
        assert found.precision.hits >= (0.95 if kind == ALL else 0.9) * found.precision.of, kind
        assert found.recall.hits >= (0.95 if kind == ALL else 0.85) * found.recall.of, kind


def test_a_mask_too_much_costs_precision_and_one_too_few_recall() -> None:
    rows = pd.DataFrame(
        {
            "wanted": ["тел [телефон]", "цена 1 990", "[почта] и [почта]", "тел [телефон]"],
            "out": ["тел [телефон]", "цена [телефон]", "[почта] и x@", "тел 900"],
        }
    )
    found = by_kind(rows)
    assert (found["телефон"].precision.hits, found["телефон"].precision.of) == (1, 2)
    assert (found["телефон"].recall.hits, found["телефон"].recall.of) == (1, 2)
    assert (found["почта"].recall.hits, found["почта"].recall.of) == (0, 2)
    assert str(found[ALL].recall) == "0.250 [0.046, 0.699] of 4"
