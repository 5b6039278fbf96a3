"""The file of answers: merged whole or not at all, by several at once, and refused where a hand damaged it."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stages.annotating.answers import COLUMNS, Merge, merge, read_answers
from stages.common.texts import text_id
from stages.running.errors import DataError
from tests.conftest import ROOT

NAMES = ["обувь", "одежда", "нет товара"]


def rows(*answers: tuple[str, str] | tuple[str, str, str]) -> pd.DataFrame:
    """Answers given as (text, label) or (text, label, drawn)."""
    listed = [(text_id(text), text, label, *(drawn or [""])) for text, label, *drawn in answers]
    return pd.DataFrame(listed, columns=list(COLUMNS), dtype=str)


def kept(path: Path) -> dict[str, tuple[str, str]]:
    return {row.text: (row.label, row.drawn) for row in read_answers(path).itertuples()}


def test_answers_are_added_changed_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "annotations/answers.csv"
    first = rows(("туфли малы", "обувь", "random"), ('=кофта, "села"', "одежда"), ("долго", "нет товара", "mixed"))
    assert merge(path, first, NAMES) == Merge(added=3, changed=0, same=0)
    second = rows(("туфли малы", "одежда"), ('=кофта, "села"', "одежда", "diversity"), ("кеды", "обувь"))
    assert merge(path, second, NAMES) == Merge(added=1, changed=1, same=1)
    assert kept(path) == {
        "туфли малы": ("одежда", "random"),
        '=кофта, "села"': ("одежда", "diversity"),
        "долго": ("нет товара", "mixed"),
        "кеды": ("обувь", ""),
    }
    assert "'туфли малы' was 'обувь', is 'одежда' from now on" in caplog.text
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id,text,label,drawn"
    assert lines[1:] == sorted(lines[1:])
    assert not any(",=" in line or ',"=' in line for line in lines), "no formula runs"


def test_the_same_answers_change_no_byte_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    answers = rows(("туфли малы", "обувь", "random"), ("кофта", "одежда"))
    merge(path, answers, NAMES)
    content, status = path.read_bytes(), path.stat()
    assert merge(path, answers.iloc[::-1], NAMES) == Merge(added=0, changed=0, same=2)
    assert merge(path, answers.iloc[:0], NAMES) == Merge(added=0, changed=0, same=0)
    assert path.read_bytes() == content
    assert path.stat().st_ino == status.st_ino


def test_the_file_of_the_repository_is_the_one_that_is_written_without_answers(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    merge(path, rows(), NAMES)
    assert path.read_bytes().splitlines()[0] == (ROOT / "annotations/answers.csv").read_bytes().splitlines()[0]
    assert read_answers(path).empty
    assert read_answers(tmp_path / "none.csv").empty


def test_of_one_review_the_last_answer_counts(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    assert merge(path, rows(("кеды", "одежда"), ("кеды", "обувь")), NAMES).added == 1
    assert kept(path) == {"кеды": ("обувь", "")}


def test_answers_of_other_categories_stay(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    merge(path, rows(("миска", "посуда")), ["посуда", "текстиль"])
    merge(path, rows(("кеды", "обувь")), NAMES)
    assert kept(path) == {"миска": ("посуда", ""), "кеды": ("обувь", "")}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (("кеды", "посуда"), "'кеды': its label 'посуда' is not a category"),
        (("кеды", ""), "'кеды': it has no label"),
        (("кеды", "обувь", "by hand"), "drawn='by hand' is none of random"),
    ],
    ids=["label", "empty", "drawn"],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path: Path, answer: tuple[str, str], message: str) -> None:
    path = tmp_path / "answers.csv"
    with pytest.raises(DataError, match=message):
        merge(path, rows(answer), NAMES)
    wrong = rows(("кеды", "обувь")).assign(id="0" * 16)
    with pytest.raises(DataError, match="its text is not the one that its id '0000000000000000' stands for"):
        merge(path, wrong, NAMES)
    assert not path.exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("туфли малы", "туфли велики", r"row \d: its text is not the one that its id '\w{16}' stands for; take the ed"),
        (",обувь,", ",,", r"row \d: it has no label; take the edit back \(`git checkout .*answers.csv`\)"),
        ("random", "руками", r"row \d: drawn='руками' is none of"),
        ("drawn", "comment", r"has the columns label, id, text, comment, not id, text, label, drawn"),
        ("label", "метка", r"no column 'label'"),
        (",обувь,random", ",обувь,random,7,8", r"line \d: 6 cells under 4 names"),
        ("кофта", '"кофта', r"row \d: its text is not the one"),
    ],
    ids=["text", "label", "drawn", "column", "no-label-column", "cells", "quote"],
)
def test_a_file_damaged_by_hand_is_a_clear_error(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "answers.csv"
    merge(path, rows(("туфли малы", "обувь", "random"), ("кофта", "одежда", "mixed")), NAMES)
    damaged = path.read_text(encoding="utf-8").replace(old, new, 1)
    path.write_text(damaged, encoding="utf-8")
    for read in (lambda: read_answers(path), lambda: merge(path, rows(("кеды", "обувь")), NAMES)):
        with pytest.raises(DataError, match=message):
            read()
    assert path.read_text(encoding="utf-8") == damaged


def test_a_review_that_stands_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    merge(path, rows(("туфли малы", "обувь")), NAMES)
    path.write_text(path.read_text(encoding="utf-8") + path.read_text(encoding="utf-8").splitlines()[1], "utf-8")
    with pytest.raises(DataError, match="rows 2, 3 are of one review; keep one of them"):
        read_answers(path)


def test_a_spreadsheet_may_have_saved_the_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    answers = rows(("=туфли; малы", "обувь", "random"), ("кофта", "одежда"))
    merge(path, answers, NAMES)
    content = path.read_bytes()
    pd.read_csv(path, dtype=str, keep_default_na=False).to_csv(path, sep=";", encoding="cp1251", index=False)
    assert merge(path, rows(("кеды", "обувь")), NAMES) == Merge(added=1, changed=0, same=0)
    merge(tmp_path / "again.csv", pd.concat([answers, rows(("кеды", "обувь"))]), NAMES)
    assert path.read_bytes() == (tmp_path / "again.csv").read_bytes() != content


MERGES = """
import logging, os, signal, sys
from pathlib import Path
from stages.annotating.answers import merge
from tests.unit.annotating.test_kept_answers import NAMES, rows

path, who = Path(sys.argv[1]), sys.argv[2]
if who == "killed":
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
for number in range(15):
    merge(path, rows((f"{who} {number}", "обувь")), NAMES)
"""


def _process(path: Path, who: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", MERGES, str(path), who], cwd=ROOT)


def test_a_killed_merge_leaves_the_file_whole_and_several_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    merge(path, rows(("туфли малы", "обувь")), NAMES)
    before = path.read_bytes()
    assert _process(path, "killed").wait(60) == -signal.SIGKILL
    assert path.read_bytes() == before
    both = [_process(path, who) for who in ("one", "other")]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(read_answers(path)) == 31
    assert [entry.name for entry in tmp_path.iterdir()] == ["answers.csv"], "what the killed one left is gone"


def test_nothing_is_told_where_nothing_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "answers.csv"
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            merge(path, rows(("туфли малы", "обувь")), NAMES)
    assert not caplog.records
