"""A user's table comes back as it went in, with two more columns."""

from __future__ import annotations

import csv
import datetime as dt
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.inference.streaming import Options, answer_file
from tests.scripted_classifier import ScriptedClassifier


def answer(source: Path, target: Path) -> None:
    answer_file(source, target, Path("model"), ScriptedClassifier, Options("text", 0.0))


def rows_of(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.reader(file, delimiter=delimiter)]


def test_cells_of_a_csv_come_back_byte_for_byte(tmp_path: Path) -> None:
    rows = [
        ["id", "text", "change", "phone"],
        ["007", "Платье село", "-15", "+7 900 000-11-22"],
        ["008", "Сапоги малы\nочень", "+3", "+7(900)000-11-22"],
        ["1e5", "малы\rочень", "-2", "@ник"],
        ["010", "малы\r\nочень", "0,5", "-"],
        ["", "", "'=1", ' "кавычки" ; '],
    ]
    with (tmp_path / "in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL).writerows(rows)
    answer(tmp_path / "in.csv", tmp_path / "out.csv")
    written = rows_of(tmp_path / "out.csv")
    assert [row[:-2] for row in written] == rows
    assert written[0][-2:] == ["category", "confidence"]
    assert written[-1][-2:] == ["", ""]
    # Read by the reader of this project, and written again: the same rows.
    (tmp_path / "again.csv").write_bytes((tmp_path / "out.csv").read_bytes().replace(b"category,confidence", b"a,b", 1))
    answer(tmp_path / "again.csv", tmp_path / "twice.csv")
    assert [row[:4] for row in rows_of(tmp_path / "twice.csv")] == rows


def test_what_would_run_in_a_spreadsheet_is_a_text(tmp_path: Path) -> None:
    attacks = ["=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0", '=HYPERLINK("x")']
    frame = pd.DataFrame(
        {"text": attacks, "=cmd|' /C calc'!A0": attacks, "inside": [f"село;{text}" for text in attacks]}
    )
    frame.to_csv(tmp_path / "in.csv", index=False)
    frame.to_parquet(tmp_path / "in.parquet", index=False)
    for ending in ("csv", "parquet"):
        answer(tmp_path / f"in.{ending}", tmp_path / "out.csv")
        (names, *rows) = rows_of(tmp_path / "out.csv")
        assert names[1] == "'=cmd|' /C calc'!A0"
        assert [row[:3] for row in rows] == [["'" + text, "'" + text, f"село;'{text}"] for text in attacks]
        # No program runs what stands in a Parquet file.
        answer(tmp_path / f"in.{ending}", tmp_path / "out.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet")[[*frame]], frame)


@pytest.fixture
def typed(tmp_path: Path) -> pa.Table:
    """A Parquet file with a column of every kind, `in.parquet`."""
    columns = {
        "id": pa.array([1, None, -3], pa.int64()),
        "small": pa.array([7, None, 9], pa.uint8()),
        "price": pa.array([10.5, None, -3.0], pa.float32()),
        "ok": pa.array([True, False, None]),
        "when": pa.array([dt.datetime(2024, 1, 1), None, dt.datetime(2024, 1, 2, 3, 4, 5)], pa.timestamp("us")),
        "moment": pa.array([0, None, 1], pa.timestamp("ns", "Europe/Moscow")),
        "day": pa.array([dt.date(2024, 1, 1), None, None]),
        "cost": pa.array([Decimal("1.50"), None, Decimal("-2.00")], pa.decimal128(9, 2)),
        "text": pa.array(["Платье село", None, "=1+1"], pa.large_string()),
        "tags": pa.array([["a", "=1"], [], None], pa.list_(pa.string())),
        "sizes": pa.array([[1, None], None, []], pa.list_(pa.int32())),
        "shop": pa.array([{"name": "Ёлка", "since": dt.date(2020, 1, 1)}, None, None]),
        "raw": pa.array([b"\xff", None, "да".encode()]),
        "kind": pa.array(["новый", None, "новый"]).dictionary_encode(),
        "none": pa.nulls(3),
    }
    table = pa.table(columns).replace_schema_metadata({"made by": "a shop"})
    # Several chunks, and two columns of one name.
    table = table.append_column("id", table["price"])
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=2)
    return table


def test_columns_of_a_parquet_file_keep_their_types(typed: pa.Table, tmp_path: Path) -> None:
    answer(tmp_path / "in.parquet", tmp_path / "out.parquet")
    written = pq.ParquetFile(tmp_path / "out.parquet").read()
    assert [*written.schema][-2:] == [pa.field("category", pa.string()), pa.field("confidence", pa.float64())]
    own, given = written.select([*range(typed.num_columns)]), pq.ParquetFile(tmp_path / "in.parquet").read()
    assert own.schema.equals(given.schema, check_metadata=True)
    assert own.equals(given)
    assert own.equals(typed)
    assert written["category"].to_pylist()[1] == ""
    assert written["confidence"].is_valid().to_pylist() == [True, False, True]


def test_an_index_of_pandas_comes_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["Платье село", "Сапоги малы"], "n": pd.array([1, None], "Int64")}, index=["a", "b"])
    frame.to_parquet(tmp_path / "in.parquet")
    answer(tmp_path / "in.parquet", tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet")[["text", "n"]], frame)


def test_typed_columns_become_cells(typed: pa.Table, tmp_path: Path) -> None:
    answer(tmp_path / "in.parquet", tmp_path / "out.csv")
    names, first, second, third = rows_of(tmp_path / "out.csv")
    cells = dict(zip(names[:-3], first, strict=False))
    assert (cells["price"], cells["ok"], cells["when"], cells["cost"]) == (
        "10.5",
        "True",
        "2024-01-01 00:00:00",
        "1.50",
    )
    assert (cells["tags"], cells["sizes"]) == ("""["a", "'=1"]""", "[1, null]")
    assert (cells["shop"], cells["raw"]) == ('{"name": "Ёлка", "since": "2020-01-01"}', "\\xff")
    assert second[:8] == ["", "", "", "False", "", "", "", ""]
    assert (third[0], third[7], third[8]) == ("-3", "-2.00", "'=1+1")
