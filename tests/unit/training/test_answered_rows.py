"""What people's answers change in the rows that students learn from and are fitted to."""

from __future__ import annotations

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict

from stages.common.gold import COLUMNS
from stages.common.provenances import PROVENANCES
from stages.training.rows import Calibration, calibration_rows, label_counts, variant_rows


def answered(rows: Dataset, numbers: list[int], label: int) -> Dataset:
    """`rows` of which people answered some with `label`, for twice the weight."""
    frame = rows.to_pandas()
    one_hot = np.eye(3)[label].tolist()
    for number in numbers:
        frame.at[number, "soft_labels"] = one_hot
        frame.loc[number, ["label", "weight", "provenance"]] = [label, 2.0, "human"]
    return Dataset.from_pandas(frame, features=rows.features, preserve_index=False)


def test_answers_are_learnt_from_by_human_on_and_unknown_before(splits: DatasetDict) -> None:
    train = answered(splits["train"], [0, 5], label=2)
    alone = splits["train"]
    columns = ["text", "label", "soft_labels", "weight"]
    for variant in PROVENANCES:
        rows = variant_rows(train, variant)
        assert len(rows) == len(variant_rows(alone, variant))
        learnt = [rows[column][index] for index in (0, 5) for column in columns[1:]]
        if PROVENANCES.index(variant) < PROVENANCES.index("human"):
            assert rows.select_columns(columns)[:] == variant_rows(alone, variant).select_columns(columns)[:]
        else:
            assert learnt == [2, [0, 0, 1], 2.0] * 2
            assert label_counts(rows)[2] == label_counts(variant_rows(alone, variant))[2] + 2


def test_without_answers_the_student_human_learns_what_the_one_before_it_does(splits: DatasetDict) -> None:
    columns = ["text", "label", "soft_labels", "weight"]
    pair = [variant_rows(splits["train"], variant).select_columns(columns)[:] for variant in ("written", "human")]
    assert pair[0] == pair[1]


def test_confidence_is_fitted_to_what_people_said_where_that_is_enough(splits: DatasetDict) -> None:
    validation = splits["validation"]
    many = Dataset.from_dict(
        {name: validation[name][:] * 5 for name in validation.column_names}, features=validation.features
    )
    none = pd.DataFrame(columns=list(COLUMNS))
    checked = pd.DataFrame({"text": ["а"], "label": ["одежда"]})
    few, enough = (answered(many, list(range(number)), label=0) for number in (19, 20))
    assert calibration_rows(none, few) == Calibration(few, 0, 0)
    found = calibration_rows(none, enough)
    assert (len(found.rows), found.checked, found.answered) == (20, 0, 20)
    assert set(found.rows["label"][:]) == {0}
    # Checked rows were brought for this: a few answers join them.
    joined = calibration_rows(checked, few)
    assert (joined.rows["text"][:2], joined.checked, joined.answered) == (["а", few["text"][0]], 1, 19)
    assert joined.rows["label"][:] == [1] + [0] * 19
