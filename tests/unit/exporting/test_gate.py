"""What int8 may cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import DatasetDict

from stages.common.manifest import write_manifest
from stages.exporting.gate import Rows, gate_rows, judge
from stages.running.io import write_table

RIGHT = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])


@pytest.mark.parametrize(("max_f1_drop", "passed"), [(0.0, False), (0.26, False), (0.27, True)])
def test_the_drop_of_macro_f1_decides(max_f1_drop: float, passed: bool) -> None:
    rows = Rows(["a", "b", "c", "d"], np.array([0, 0, 1, 1]), checked=True)
    int8 = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.4, 0.6]])
    gate = judge(rows, RIGHT, int8, 1.04e-5, max_f1_drop)
    # One of two is found of the first label, and of three that are called the second two are.
    assert (gate.macro_f1, gate.macro_f1_int8) == (1, pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-4))
    assert (gate.max_difference, gate.max_difference_fp32) == (0.4, 1e-5)
    assert (gate.rows, gate.checked, gate.passed) == (4, True, passed)


def test_int8_that_is_better_passes() -> None:
    rows = Rows(["a", "b"], np.array([0, 1]), checked=True)
    assert judge(rows, RIGHT[:2], RIGHT[1:3], 0.0, 0.0).passed


def test_checked_rows_decide_where_there_are_any(splits: DatasetDict, label_names: list[str], tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    splits["validation"].to_parquet(str(tmp_path / "dataset/validation.parquet"))
    write_manifest(tmp_path / "dataset")
    rows = gate_rows(tmp_path, label_names)
    assert (len(rows.texts), rows.checked) == (9, False)
    assert rows.labels.tolist() == splits["validation"]["label"][:]
    checked = {"gold_set": "calibration", "row": [0, 1], "text": ["а", "б"], "label": ["одежда", ""]}
    write_table(tmp_path / "ingest/calibration.parquet", pd.DataFrame(checked))
    rows = gate_rows(tmp_path, label_names)
    assert (rows.texts, rows.labels.tolist(), rows.checked) == (["а"], [1], True)
