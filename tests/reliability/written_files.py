"""Files that users' programs write, for hypothesis: Python's csv module, pandas, spreadsheets' ways, Parquet."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from hypothesis import strategies as st

COLUMN = "Отзыв"
DELIMITERS = (",", ";", "\t", "|")
LINE_ENDS = ("\n", "\r\n", "\r")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le with a mark", "utf-16-be with a mark")

# What Russian reviews are made of, CP1251 has all of it.
WORDS = (
    "платье",
    "село",
    "после",
    "стирки",
    "Ёлка",
    "не пришла",
    "размер 46—48",
    "«Заря»",
    "№ 5",
    "спасибо!",
    "ОТЛИЧНО",
)
# What breaks readers.
EVIL = (
    '"',
    '""',
    "'",
    "\\",
    '\\"',
    ",",
    ";",
    "\t",
    "|",
    "\n",
    "\r",
    "\r\n",
    "\x1a",
    "\x0b",
    "\u2028",
    "\u0085",
    "\ufeff",
)
EVIL += (
    "sep=;",
    "#",
    "=",
    " ",
    "\u00a0",
    "nan",
    "NULL",
    "NA",
    "None",
    "true",
    "1e5",
    "0017",
    "−5",
    "😀",
    "e\u0301",
    "\U000e0041",
)

reviews = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
strange = st.lists(
    st.sampled_from(WORDS) | st.sampled_from(EVIL) | st.characters(exclude_categories=["Cs"]), max_size=8
).map("".join)
# A name that is neither empty nor a number.
names = st.lists(st.sampled_from(("оценка", "date", "id", " ", ";", ",", '"', "\n")), min_size=1, max_size=3).map(
    "".join
)
plain_names = st.sampled_from(("оценка", "date", "id", "товар"))


@dataclass(frozen=True)
class Written:
    """A file's bytes and ending, the texts of `COLUMN` that it was written from, and who wrote it."""

    content: bytes
    ending: str
    texts: list[str]
    writer: str

    def __repr__(self) -> str:
        """What a failing example shows."""
        return f"{self.writer}: {self.texts!r}\n{self.content[:2000]!r}"


@st.composite
def ordinary_files(draw: st.DrawFn) -> Written:
    """Files without a doubt, which have to be read: reviews on one line each, quoted where a cell has the delimiter."""
    table = draw(tables(reviews, plain_names, least=2))
    return draw(st.one_of(csv_files(table, STANDARD, ENCODINGS), parquet_files(table)))


@st.composite
def cyrillic_files(draw: st.DrawFn) -> Written:
    """What a Russian Excel saves: CP1251."""
    return draw(csv_files(draw(tables(reviews, plain_names, least=3)), STANDARD, ["cp1251"]))


@st.composite
def any_files(draw: st.DrawFn, before: Sequence[str] = ()) -> Written:
    """Any cells, any way of writing, titles above the header; the texts `before` stand in the first rows."""
    table = draw(tables(st.one_of(reviews, strange), st.one_of(plain_names, names), least=1))
    table = pd.concat([pd.DataFrame({name: list(before) for name in table}), table], ignore_index=True)
    return draw(
        st.one_of(csv_files(table, [*STANDARD, by_escaping, by_joining], ENCODINGS, ABOVE), parquet_files(table))
    )


@st.composite
def tables(
    draw: st.DrawFn, cells: st.SearchStrategy[str], other_names: st.SearchStrategy[str], least: int
) -> pd.DataFrame:
    """Rows of text with `COLUMN` at any place among up to three others."""
    header = draw(st.lists(other_names, max_size=3, unique_by=str.strip))
    header.insert(draw(st.integers(0, len(header))), COLUMN)
    rows = draw(st.lists(st.tuples(*[cells] * len(header)), min_size=least, max_size=8))
    return pd.DataFrame(rows, columns=header, dtype=object)


@st.composite
def csv_files(
    draw: st.DrawFn,
    table: pd.DataFrame,
    writers: Sequence[Writer],
    encodings: Sequence[str],
    above: Sequence[str] = ("",),
) -> Written:
    """`table` by one of `writers` with any delimiter and line end, and one of `above` before its header."""
    write, encoding = draw(st.sampled_from(writers)), draw(st.sampled_from(encodings))
    delimiter, line_end = draw(st.sampled_from(DELIMITERS)), draw(st.sampled_from(LINE_ENDS))
    text, texts = write(table, delimiter, line_end)
    first = draw(st.sampled_from(above)).format(delimiter=delimiter)
    ending = draw(st.sampled_from([".csv", ".CSV", ".tsv", ".txt"]))
    return Written(
        encode(f"{first}{line_end}{text}" if first else text, encoding), ending, texts,
        f"{write.__name__}, {encoding}, delimiter {delimiter!r}, line end {line_end!r}, first line {first!r}",
    )  # fmt: skip


def by_csv_module(table: pd.DataFrame, delimiter: str, line_end: str, **dialect: Any) -> tuple[str, list[str]]:
    """The file's text and the texts that stand in `COLUMN`."""
    file = io.StringIO(newline="")
    dialect = {"quoting": quoting(table)} | dialect
    writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end, **dialect)
    writer.writerow(table.columns)
    writer.writerows(table.to_numpy())
    return file.getvalue(), table[COLUMN].to_list()


def by_pandas(table: pd.DataFrame, delimiter: str, line_end: str) -> tuple[str, list[str]]:
    """As `by_csv_module`."""
    file = io.StringIO(newline="")
    table.to_csv(file, index=False, sep=delimiter, lineterminator=line_end, quoting=quoting(table))
    return file.getvalue(), table[COLUMN].to_list()


def with_all_quoted(table: pd.DataFrame, delimiter: str, line_end: str) -> tuple[str, list[str]]:
    """As `by_csv_module`."""
    return by_csv_module(table, delimiter, line_end, quoting=csv.QUOTE_ALL)


def by_escaping(table: pd.DataFrame, delimiter: str, line_end: str) -> tuple[str, list[str]]:
    """As `by_csv_module`, with a backslash before each quote, as MySQL and PHP do; no cell has one of its own."""
    plain = without(table, "\\")
    return by_csv_module(plain, delimiter, line_end, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\")


def by_joining(table: pd.DataFrame, delimiter: str, line_end: str) -> tuple[str, list[str]]:
    """As `by_csv_module` for cells that need no quotes, with stray quotes inside: what a loop of somebody's writes."""
    plain = without(table, delimiter, "\r", "\n").map(lambda cell: cell.lstrip('"'))
    if len(plain.columns) == 1:
        # An empty line is no row to anybody.
        plain = plain[plain[COLUMN] != ""]
    lines = [plain.columns, *plain.to_numpy()]
    return "".join(delimiter.join(line) + line_end for line in lines), plain[COLUMN].to_list()


def quoting(table: pd.DataFrame) -> int:
    """Where it is needed; everywhere if a cell has a line end.

    Writers leave unquoted the line ends that are not theirs: nobody can tell such a cell from two rows.
    """
    cells = [cell for row in [table.columns, *table.to_numpy()] for cell in row]
    return csv.QUOTE_ALL if any(mark in cell for cell in cells for mark in "\r\n") else csv.QUOTE_MINIMAL


def without(table: pd.DataFrame, *marks: str) -> pd.DataFrame:
    """`table` without `marks` in names and cells."""
    for mark in marks:
        table = table.rename(columns=lambda name, mark=mark: name.replace(mark, "")).map(
            lambda cell, mark=mark: cell.replace(mark, "")
        )
    return table


Writer = Callable[[pd.DataFrame, str, str], tuple[str, list[str]]]
STANDARD: tuple[Writer, ...] = (by_csv_module, with_all_quoted, by_pandas)
# Nothing mostly; a spreadsheet's line that names the delimiter; a title; a line of blanks.
ABOVE = ("", "", "", "", "sep={delimiter}", "Отчёт за май", " ")


def encode(text: str, encoding: str) -> bytes:
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    name = encoding.removesuffix(" with a mark")
    return marks.get(name, b"") + text.encode(name)


@st.composite
def parquet_files(draw: st.DrawFn, table: pd.DataFrame) -> Written:
    """`table` as Parquet, by way of several types of text."""
    kinds: dict[str, Callable[[pd.Series[str]], pd.Series[str]]] = {
        "objects": lambda column: column,
        "categories": lambda column: column.astype("category"),
        "strings": lambda column: column.astype("string"),
    }
    kind = draw(st.sampled_from(sorted(kinds)))
    file = io.BytesIO()
    table.apply(kinds[kind]).to_parquet(file, index=False, row_group_size=draw(st.integers(1, 8)))
    return Written(file.getvalue(), ".parquet", table[COLUMN].to_list(), f"Parquet of {kind}")
