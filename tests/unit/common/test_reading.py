import pandas as pd
import pytest

from stages.common.errors import DataError
from stages.common.reading import read_reviews_file


def test_reads_every_usual_csv(tmp_path):
    rows = 'text{0}stars\n"хорошо, да"{0}5\nплохо{0}NA\n'
    for mark in ",;\t":
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            path = tmp_path / "reviews.csv"
            path.write_text(rows.format(mark), encoding=encoding)
            frame = read_reviews_file(path, "text")
            assert frame["text"].to_list() == ["хорошо, да", "плохо"]
            assert frame["stars"].to_list() == ["5", "NA"]


def test_reads_parquet(tmp_path):
    pd.DataFrame({"review": ["да", None], "n": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    assert read_reviews_file(tmp_path / "a.parquet", "review")["review"].to_list() == ["да", ""]


def test_cell_of_ten_megabytes_is_read(tmp_path):
    (tmp_path / "big.csv").write_text("text\nкоротко\n" + "я" * 10_000_000 + "\n")
    assert read_reviews_file(tmp_path / "big.csv", "text")["text"].str.len().to_list() == [7, 10_000_000]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"text\n", "no rows"),
        ("a.csv", b"review,stars\n1,2\n", "no column 'text'; it has 'review', 'stars'"),
        ("a.csv", "text\nплохо\n".encode("cp1251"), "line 2: not UTF-8"),
        ("a.csv", b'text\na,b,c\n"unfinished\n', "not a well-formed CSV"),
        ("a.csv", b"text\n\x00\x01\n", "NUL byte"),
        ("a.parquet", b"not parquet", "not a readable Parquet"),
        ("a.xlsx", b"PK", "save it as .csv or .parquet"),
    ],
)
def test_faults_are_explained(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_reviews_file(tmp_path / name, "text")


def test_missing_file_folder_and_size(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_reviews_file(tmp_path / "no.csv", "text")
    (tmp_path / "in.csv").write_text("text\n" + "а" * 2_000_000)
    with pytest.raises(DataError, match=r"is a folder; name a file in it, such as in\.csv"):
        read_reviews_file(tmp_path, "text")
    with pytest.raises(DataError, match=r"data\.max_file_mib=1"):
        read_reviews_file(tmp_path / "in.csv", "text", max_file_mib=1)
