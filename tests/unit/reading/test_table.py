"""Tables as users have them: read whole and right, or refused with the place."""

import csv
import gzip
import io
import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.reading import encoding
from stages.reading.table import numbered_chunks, read_whole, table_chunks, texts
from stages.running.errors import DataError
from tests.workbooks import workbook

ROWS = ["Платье село", "Сапоги малы", "Чайник гудит"]


def write(path, content, encoding="utf-8"):
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read(path, column="text"):
    return read_whole(path, column)[column].to_list()


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251", "cp866", "koi8-r"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_every_usual_text_is_read(tmp_path, encoding, end, mark):
    content = end.join([f"text{mark}stars", *(f'"{row}{mark} да"{mark}5' for row in ROWS), f"плохо{mark}NA", ""])
    frame = read_whole(write(tmp_path / "a.csv", content, encoding), "text")
    assert frame["text"].to_list() == [*(f"{row}{mark} да" for row in ROWS), "плохо"]
    assert frame["stars"].to_list() == ["5", "5", "5", ""]
    assert frame.index.to_list() == [2, 3, 4, 5]


def test_the_encoding_that_was_taken_is_told(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert read(write(tmp_path / "a.csv", "Отзыв;Оценка\r\nПлатье село;5\r\n", "cp1251"), "Отзыв") == ["Платье село"]
    assert "a.csv is read as CP1251" in caplog.text


@pytest.mark.parametrize("legacy", encoding.LEGACY)
def test_a_single_row_tells_its_encoding(tmp_path, legacy):
    assert read(write(tmp_path / "a.csv", "text;label\nСапоги отличные, якобы;обувь", legacy)) == [
        "Сапоги отличные, якобы"
    ]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("sep=;\ntext;n\nа;1\n", ["text", "n"]),
        ('"sep=;"\r\n text ;\xa0n\r\nа;1\r\n', ["text", "n"]),
        ("text;n;;;\nа;1;;;\n", ["text", "n"]),
        ("Отчёт за май;;\nПериод;01.05;31.05\n\ntext;n\nа;1\n", ["text", "n"]),
        ("\n\ntext\tn\nа\t1\n\n", ["text", "n"]),
    ],
)
def test_what_spreadsheets_put_around_a_table_is_left_out(tmp_path, content, names):
    frame = read_whole(write(tmp_path / "a.csv", content), "text")
    assert (list(frame.columns), frame["text"].to_list()) == (names, ["а"])


def test_rows_have_the_numbers_of_a_spreadsheet(tmp_path):
    content = 'Отчёт\n\ntext;n\n"а\nб";1\n\nв;2\n'
    assert read_whole(write(tmp_path / "a.csv", content), "text").index.to_list() == [4, 6]


def test_one_column_needs_no_quotes(tmp_path):
    rows = ["Платье село, швы кривые, нитки торчат; верните", "тёплое, но малое", 'экран 5" хороший', "просто"]
    assert read(write(tmp_path / "a.csv", "\n".join(["text", *rows]))) == rows


def test_quotes_after_backslashes_are_read(tmp_path):
    content = 'text,n\n"он сказал \\"привет\\", и ушёл",5\nплохо,1\n'
    assert read(write(tmp_path / "a.csv", content)) == ['он сказал "привет", и ушёл', "плохо"]


def test_spaces_before_quotes_are_read(tmp_path):
    assert read(write(tmp_path / "a.csv", 'n, text\n1, "а, б"\n2, "в"\n')) == ["а, б", "в"]


@pytest.mark.parametrize("mark", [",", ";"])
def test_stray_quotes_do_not_swallow_rows(tmp_path, mark):
    rows = [f"отзыв {number}{mark}5" for number in range(30)]
    rows[4], rows[21] = f'"Хороший товар{mark}5', f'Товар супер"{mark}4'
    found = read(write(tmp_path / "a.csv", "\n".join([f"text{mark}n", *rows])))
    assert len(found) == 30
    assert (found[4], found[21]) == ('"Хороший товар', 'Товар супер"')


def test_swallowed_rows_that_cannot_be_told_apart_are_refused(tmp_path):
    # A cell elsewhere is quoted as it should be, so that the quotes are no letters.
    rows = [f"отзыв {number};5;да" for number in range(30)]
    rows[4], rows[21], rows[25] = '"Хороший;5;да', 'Супер";4;да', '"а; б";1;да'
    with pytest.raises(DataError, match=r"line 6: one cell holds 16 lines, each with the ';' of a row"):
        read(write(tmp_path / "a.csv", "\n".join(["text;n;m", *rows])))


def test_cells_of_several_lines_are_read_and_doubted(tmp_path, caplog):
    content = 'text;n\n"Платье; село\nда";5\n"просто\nтак";4\n'
    assert read(write(tmp_path / "a.csv", content)) == ["Платье; село\nда", "просто\nтак"]
    assert "line 2: a cell holds line ends and as many ';' as rows" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"text\n", "no rows"),
        (b"review,stars\n1,2\n", "no column 'text'; it has 'review', 'stars'"),
        (("слово " * 40_000).encode(), "no column 'text'; it has 'слово слово"),
        (b"text;n\n" + "хороший отзыв;1\n".encode() * 3 + b"\xff\xfe;2\n", "line 5: not UTF-8"),
        (b'text,n\na,1\n"unfinished,2\nb,3\n"c,d",4,"', "line 3: "),
        (b'text,n\n"a" b, c,1\n', "line 2: "),
        ("text,label\nСапоги, но малы,обувь\n".encode(), "line 2: 3 cells under 2 names; quote cells that hold ','"),
        (b"text\n\x00\x01\n", "NUL byte"),
        (b"text;text\n;a\n", "2 columns 'text'"),
        (b"PAR1 not parquet", "not a readable Parquet"),
        (b"PK\x03\x04 not a zip", "damaged workbook or archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 no workbook", "not a readable workbook"),
        (b"\x1f\x8b no gzip", "damaged gzip"),
        (gzip.compress(b"text\n" + b"word\n" * 1000, mtime=0)[:-20], "damaged gzip"),
        (b"%PDF-1.7", "is a PDF"),
        (b'[{"text": "a"}]', "an object a line"),
        (b'{"text": "a"}\n{"text": \n', "line 2: not JSON"),
        (b'{"text": "a"}\n["a"]\n', "line 2: .* is no object"),
        (b'{"review": "a"}\n', "no column 'text'; it has 'review'"),
        (b"[" * 100_000 + b"\n", "no column 'text'"),
        (b'{"text":' + b"[" * 100_000 + b"\n", "line 1: not JSON"),
    ],
)  # fmt: skip
def test_faults_are_explained(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "a.csv", content))


def test_short_rows_are_filled_and_told(tmp_path, caplog):
    frame = read_whole(write(tmp_path / "a.csv", "text;n;m\nа;1;2\nб\nв;1\n"), "text")
    assert frame["m"].to_list() == ["2", "", ""]
    assert "line 3 and 1 more: fewer cells than the 3 names" in caplog.text


@pytest.mark.parametrize("word", ["NA", "nan", "NULL", "None", " n/a ", "#N/A"])
def test_words_for_nothing_are_nothing(tmp_path, word):
    assert read(write(tmp_path / "a.csv", f"text\n{word}\nНан хороший\n")) == ["", "Нан хороший"]


@pytest.mark.parametrize("name", ["a.CSV", "a.csv.gz", "a.txt", "a", "a.xlsx"])
def test_gzip_is_known_by_its_content(tmp_path, name):
    packed = gzip.compress("text\nПлатье село\n".encode("cp1251"))
    assert read(write(tmp_path / name, packed)) == ["Платье село"]


def test_json_lines(tmp_path, caplog):
    rows = [{"text": "а\nб", "n": 1}, {"text": None, "tags": ["x"]}, {"n": 2.5, "text": "\ud800в"}]
    frame = read_whole(write(tmp_path / "a.csv", "\n".join(map(json.dumps, rows)) + "\n\n"), "text")
    assert frame.to_dict("list") == {"text": ["а\nб", "", "\ufffdв"], "n": ["1", "", "2.5"], "tags": ["", '["x"]', ""]}


def test_workbook_whatever_it_is_called(tmp_path):
    write(tmp_path / "a.csv", workbook([["Отчёт"], [], ["id", "text"], [7, "Платье село"], [8.5, "да"]]))
    frame = read_whole(tmp_path / "a.csv", "text")
    assert frame.to_dict("list") == {"id": ["7", "8.5"], "text": ["Платье село", "да"]}
    assert frame.index.to_list() == [4, 5]
    with pytest.raises(DataError, match="no column 'review'"):
        read_whole(tmp_path / "a.csv", "review")


def test_parquet_keeps_its_types(tmp_path):
    columns = {
        "text": pa.array(["а", None, "б"]),
        "n": pa.array([1, None, 3], pa.int32()),
        "list": pa.array([["x"], [], None]),
        "day": pa.array([0, 1, None], pa.date32()),
        "cheap": pa.array(["а", "а", "а"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.csv")
    table = pa.concat_tables(table_chunks(tmp_path / "a.csv", "text", chunk_rows=1))
    assert table == pa.table(columns)
    assert texts(table, "text") == ["а", "", "б"]
    assert texts(table, "n") == ["1", "", "3"]
    with pytest.raises(DataError, match="'list' holds list"):
        texts(table, "list")


def test_bytes_in_parquet_are_text_or_refused(tmp_path):
    pq.write_table(pa.table({"text": ["Платье".encode()]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == ["Платье"]
    pq.write_table(pa.table({"text": [b"\xff\xfe"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no text in UTF-8"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize("compression", ["zstd", "none"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_small_parquet_that_unpacks_to_gigabytes_is_refused(tmp_path, dictionary, compression):
    rows, path = 200 if not dictionary else 20_000, tmp_path / "a.parquet"
    text = (
        pa.array(["я" * 500_000]).dictionary_encode().take(pa.array([0] * rows))
        if dictionary
        else ["я" * 500_000] * 200
    )
    pq.write_table(pa.table({"text": text}), path, use_dictionary=dictionary, compression=compression)
    if dictionary or compression == "zstd":
        assert path.stat().st_size < 2_000_000
    with pytest.raises(DataError, match=r"data\.max_file_mib=100"):
        for _ in table_chunks(path, "text", max_file_mib=100):
            pass


def test_gzip_that_unpacks_to_gigabytes_is_refused(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wb") as file:
        file.write(b"text\n")
        for _ in range(300):
            file.write(b"word\n" * 200_000)
    with pytest.raises(DataError, match=r"unpacks to more than data\.max_file_mib=100"):
        for _ in table_chunks(tmp_path / "a.csv.gz", "text", max_file_mib=100):
            pass


def test_missing_file_folder_and_size(tmp_path):
    with pytest.raises(DataError, match=r"does not exist; check data\.path"):
        read(tmp_path / "no.csv")
    write(tmp_path / "in.csv", "text\n" + "а" * 2_000_000)
    with pytest.raises(DataError, match=r"is a folder; name a file in it, such as in\.csv"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"data\.max_file_mib=1"):
        read_whole(tmp_path / "in.csv", "text", max_file_mib=1)


def test_a_long_line_is_read_and_one_without_end_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "big.csv", "text\nкоротко\n" + "я" * 10_000_000 + "\n")
    assert [len(cell) for cell in read(path)] == [7, 10_000_000]
    monkeypatch.setattr(encoding, "MAX_LINE", 2**21)
    path = write(tmp_path / "bigger.csv", "text\nкоротко\n" + "я" * 10_000_000 + "\n")
    with pytest.raises(DataError, match="line 3: longer than"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_characters_survive_where_blocks_meet(encoding, tmp_path):
    text = "я€😀x" * 400_000
    assert read(write(tmp_path / "a.csv", f"text\n{text}\nконец\n", encoding)) == [text, "конец"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("плохо".encode("cp1251"), "a.csv, line 100001: not UTF-8"),
        (b"\x00", "a.csv, line 100001: a NUL byte"),
        (b"a;b;c", "line 100001: 3 cells under 2 names"),
    ],
)
def test_a_fault_far_down_is_named_by_its_line(line, message, tmp_path):
    path = write(tmp_path / "a.csv", b"text;n\n" + "отзыв;1\n".encode() * 99_999 + line + b"\nend;1\n")
    with pytest.raises(DataError, match=message):
        next(numbered_chunks(path, "text"))


CELLS = st.text(st.sampled_from("яЯё,;\"'\\\n\r\t |=a "), max_size=8) | st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\uffff"), max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6),
    mark=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    chunk_rows=st.integers(min_value=1, max_value=3),
)
def test_what_a_csv_writer_wrote_is_what_is_read(rows, mark, quoting, end, chunk_rows, tmp_path):
    # Python before 3.13 leaves a lone carriage return without quotes, which then is a line end to some readers.
    quoting = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else quoting
    held = io.StringIO()
    writer = csv.writer(held, delimiter=mark, quoting=quoting, lineterminator=end)
    writer.writerow(["text", "other"])
    writer.writerows(rows)
    path = write(tmp_path / "a.csv", held.getvalue())
    numbers, read = [], []
    try:
        for part, chunk in numbered_chunks(path, "text", chunk_rows=chunk_rows):
            assert len(chunk) <= chunk_rows
            numbers += part
            read += zip(chunk["text"].to_pylist(), chunk["other"].to_pylist(), strict=True)
    except DataError as error:
        # A cell whose lines are all rows may be one.
        if "lines, each with the" not in str(error):
            raise
        return
    assert read == rows
    assert numbers == list(range(2, len(rows) + 2))
