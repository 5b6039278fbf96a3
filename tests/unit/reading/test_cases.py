"""Files of real users, beside the checkout: read for what they mean, or refused with a reason."""

import pytest

from stages.reading.table import read_whole
from stages.running.errors import DataError
from tests.conftest import ROOT

CASES = ROOT.parent / "shared/cases"
pytestmark = [pytest.mark.case, pytest.mark.skipif(not CASES.is_dir(), reason="the files are not beside the checkout")]


@pytest.mark.parametrize(
    ("name", "column", "rows", "first"),
    [
        ("01_cp1251_semicolon.csv", "Отзыв", 24, "Платье сидит хорошо, размер 40"),
        ("02_sep_line.csv", "text", 24, "Платье сидит хорошо, размер 40"),
        ("03f_first_row_has_most_commas.csv", "text", 121, "Платье село, швы кривые, нитки торчат, верните деньги"),
        ("04_cr_only.csv", "text", 144, "Платье сидит хорошо, размер 40"),
        ("07_UPPER.CSV", "text", 24, "Платье сидит хорошо, размер 40"),
        ("07b_reviews.csv.gz", "text", 24, "Платье сидит хорошо, размер 40"),
        ("07c.jsonl", "text", 24, "Платье сидит хорошо, размер 40"),
        ("07e_gzip_named.csv", "text", 24, "Платье сидит хорошо, размер 40"),
        ("09_bytes.parquet", "text", 144, "Платье сидит хорошо, размер 40"),
        ("12_trailing_semicolons.csv", "text", 144, "Платье сидит хорошо, размер 40"),
        ("14_utf16_nobom.csv", "text", 144, "Платье сидит хорошо, размер 40"),
        ("15_meta_rows.csv", "text", 144, "Платье сидит хорошо, размер 40"),
        ("16_multiline_cells.csv", "text", 144, "Платье\r\nсидит хорошо, размер 40"),
        ("19_missing.csv", "text", 152, ""),
        ("21_html_lt.csv", "text", 147, "размер <L мал, а >XL велик"),
        ("gold/cp1251.csv", "text", 1, "Сапоги отличные"),
    ],
)
def test_is_read(name, column, rows, first):
    frame = read_whole(CASES / name, column)
    assert (len(frame), frame[column].iloc[0]) == (rows, first)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("06_one_line_200k.txt", "no column 'text'; it has 'text хорошее"),
        ("07d_xlsx_renamed.csv", "not a readable workbook"),
        ("13_dup_columns.csv", "2 columns 'text'"),
        ("gold/comma.csv", "line 2: 3 cells under 2 names"),
    ],
)
def test_is_refused(name, message):
    with pytest.raises(DataError, match=message):
        read_whole(CASES / name, "text")
