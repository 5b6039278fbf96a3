"""What a spreadsheet would run becomes a text; everything else stays as it is."""

import csv
import io
import re
import time

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.running.io import read_table, table_writer, write_table
from stages.running.spreadsheet import defused, escape_formulas, unescape_formulas
from tests.conftest import ROOT

RUNS = (
    "=1+1",
    "=HYPERLINK(\"http://x\")",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+ГИПЕРССЫЛКА(\"http://x\")",
    "-SUM (A1)",
    "+'http://x/[a.xls]S'!A1",
    "＝1+1",
    "＋cmd|' /C calc'!A0",
    "－SUM(A1)",
    "＠SUM(A1)",
)  # fmt: skip
BEFORE = ("", " ", "\t", "\r", "\n", "\r\n", "\n\n ", "\u00a0", "\ufeff", "\u200b", '"')
HARMLESS = (
    "", "-15", "+3", "-2+3", "+7 900 000-11-22", "+7 (900) 000-11-22", "8(900)0001122", "@ник", "-", "- мягкая (очень)",
    "Плюсы:\n- мягкая (очень)\n- дёшево", "хорошо; -5 за доставку, +1 за цвет", "a=b", "да! -Нет", "'=1+1", "https://x/?a=1",
)  # fmt: skip


def runs(line: str, delimiter: str, quotes: bool = True) -> bool:
    """Whether a program that splits at `delimiter` would find a formula in a line of CSV."""
    quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    rows = csv.reader(io.StringIO(line, newline=""), delimiter=delimiter, quoting=quoting)
    cells = [cell.strip(' \t\r\n"\u00a0\ufeff\u200b') for row in rows for cell in row]
    return any(cell.startswith(tuple("=+-@＝＋－＠")) for cell in cells)


@pytest.mark.parametrize("before", BEFORE, ids=ascii)
@pytest.mark.parametrize("text", RUNS, ids=ascii)
def test_a_formula_is_found_whatever_stands_before_it(text: str, before: str) -> None:
    assert defused(before + text).startswith("'")
    assert not runs(defused(before + text), "\0")
    if not before:
        assert defused(text) == "'" + text


@pytest.mark.parametrize("cut", [";", ",", "\t", "\n", "\r", ';"', "; \n"], ids=ascii)
@pytest.mark.parametrize("text", RUNS, ids=ascii)
def test_a_formula_inside_a_cell_runs_in_no_program_that_splits_elsewhere(text: str, cut: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerow(["7", defused("село" + cut + text), "конец"])
    for delimiter in ",;\t":
        for quotes in (True, False):
            assert not runs(written.getvalue(), delimiter, quotes)


@pytest.mark.parametrize("text", HARMLESS, ids=ascii)
def test_what_cannot_run_stays_byte_for_byte(text: str) -> None:
    assert defused(text) == text


@given(st.lists(st.sampled_from([*"=+-@＝;,\t\r\n'\" a(|!я", "cmd", "SUM("])).map("".join))
def test_what_is_written_is_read_back_and_never_runs(text: str) -> None:
    frame = pd.DataFrame({"text": [text], text + "x": [1]})
    escaped = escape_formulas(frame)
    pd.testing.assert_frame_equal(unescape_formulas(escaped), frame)
    assert defused(escaped["text"][0]) == escaped["text"][0]


@pytest.mark.parametrize("text", ["\n", " ", "-", ",-", ";=", "a(", "a1", "a (", '"', "\n\t", "(!"], ids=ascii)
def test_a_megabyte_takes_no_time(text: str) -> None:
    start = time.perf_counter()
    escape_formulas(pd.DataFrame({"text": [text * (2**20 // len(text)), text * (2**20 // len(text)) + "=a("]}))
    assert time.perf_counter() - start < 5


def test_numbers_of_a_table_are_not_touched(tmp_path) -> None:
    frame = pd.DataFrame({"=1": [-15, 3], "share": [-0.5, None], "text": ["-15", "=1"]})
    write_table(tmp_path / "a.csv", frame)
    assert (tmp_path / "a.csv").read_text() == "'=1,share,text\n-15,-0.5,-15\n3,,'=1\n"
    assert list(read_table(tmp_path / "a.csv")) == list(frame)


def test_every_table_for_people_is_safe_and_every_row_is_one(tmp_path) -> None:
    texts = ["=1+1", "a;=cmd|x", "раз\rдва", "раз\r\nдва", "раз\nдва", "конец"]
    with table_writer(tmp_path / "quarantine.csv") as add:
        for text in texts:
            add(pd.DataFrame({"text": [text], "reason": ["пусто"]}))
    with (tmp_path / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        cells = [row["text"] for row in csv.DictReader(file)]
    assert cells == ["'=1+1", "a;'=cmd|x", *texts[2:]]
    assert read_table(tmp_path / "quarantine.csv")["text"].to_list() == texts


def test_nothing_else_writes_a_csv() -> None:
    writes = re.compile(r"to_csv\(|csv\.writer\(|csv\.DictWriter\(|write_csv\(")
    files = {
        str(path.relative_to(ROOT / "stages"))
        for path in (ROOT / "stages").rglob("*.py")
        if writes.search(path.read_text(encoding="utf-8"))
    }
    assert files == {"running/io.py", "inference/output.py"}
