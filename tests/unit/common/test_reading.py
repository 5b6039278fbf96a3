import io
import re

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.common.errors import DataError
from stages.common.reading import read_reviews_file, review_chunks


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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.lists(st.text(alphabet='яa,"\r\n ', max_size=6), min_size=1, max_size=9).map("\n".join),
    chunk_rows=st.integers(min_value=1, max_value=4),
)
def test_chunks_read_and_refuse_what_the_whole_does(body, chunk_rows, tmp_path):
    content = "text,n\n" + body
    (tmp_path / "a.csv").write_bytes(content.encode())
    try:
        whole = pd.read_csv(io.StringIO(content), dtype=str, keep_default_na=False, index_col=False).fillna("")
    except pd.errors.ParserError as error:
        with pytest.raises(DataError, match=re.escape(str(error).strip().splitlines()[-1])):
            list(review_chunks(tmp_path / "a.csv", "text", chunk_rows=chunk_rows))
        return
    if whole.empty:
        return
    chunks = list(review_chunks(tmp_path / "a.csv", "text", chunk_rows=chunk_rows))
    assert max(map(len, chunks)) <= chunk_rows
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), whole)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_characters_survive_where_blocks_meet(encoding, tmp_path):
    text = "я€😀x" * 400_000
    (tmp_path / "a.csv").write_text(f"text\n{text}\nконец\n", encoding=encoding)
    assert read_reviews_file(tmp_path / "a.csv", "text")["text"].to_list() == [text, "конец"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("плохо".encode("cp1251"), "a.csv, line 300001: not UTF-8"),
        (b"\x00", "a.csv, line 300001: a NUL byte"),
        (b"a,b", "Expected 1 fields in line 300001, saw 2"),
    ],
)
def test_a_fault_far_down_is_named_by_its_line(line, message, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text\n" + "отзыв\n".encode() * 299_999 + line + b"\nend\n")
    with pytest.raises(DataError, match=message):
        for _ in review_chunks(tmp_path / "a.csv", "text"):
            pass


def test_a_column_of_parquet_reads_alike_in_every_chunk(tmp_path):
    columns = {
        "text": ["а", None, "б", "в"],
        "n": pd.array([1, None, 3, 4], dtype="Int64"),
        "list": [[1], [2, 3], None, [4]],
        "day": pd.to_datetime(["2024-05-01", None, "2024-05-03", "2024-05-04"]),
        "share": [0.5, 1.0, None, 2.0],
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "a.parquet")
    frame = pd.concat(review_chunks(tmp_path / "a.parquet", "text", chunk_rows=1), ignore_index=True)
    assert frame.to_dict("list") == {
        "text": ["а", "", "б", "в"],
        "n": ["1", "", "3", "4"],
        "list": ["[1]", "[2 3]", "", "[4]"],
        "day": ["2024-05-01 00:00:00", "", "2024-05-03 00:00:00", "2024-05-04 00:00:00"],
        "share": ["0.5", "1.0", "", "2.0"],
    }
    pd.testing.assert_frame_equal(frame, read_reviews_file(tmp_path / "a.parquet", "text"))


def test_an_empty_parquet_file_is_named(tmp_path):
    pd.DataFrame({"text": pd.Series([], dtype=str)}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no rows"):
        read_reviews_file(tmp_path / "a.parquet", "text")
    with pytest.raises(DataError, match="no column 'review'; it has 'text'"):
        read_reviews_file(tmp_path / "a.parquet", "review")
