"""The log of presses: what it says of a review, and what it survives."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd
import pytest

from stages.annotating.page_store import Kind, PageStore, Press, State, UnknownReviewError
from stages.common.texts import text_id
from stages.running.errors import DataError

TEXTS = ["кофта", "сапоги", "чайник"]
IDS = [text_id(text) for text in TEXTS]


def reviews(texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"id": list(map(text_id, texts)), "text": texts, "drawn": "random"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "page.sqlite"


def press(name: str, batch: str, kind: Kind, value: str = "", review: str = IDS[0]) -> Press:
    return Press(name, batch, review, kind, value)


def test_the_last_press_that_is_not_taken_back_counts(path: Path) -> None:
    with PageStore(path) as store:
        batch = store.open(reviews(TEXTS))
        said = []
        for given in (
            press("1", batch, "answer", "обувь"),
            press("2", batch, "answer", "одежда"),
            press("3", batch, "comment", "детская"),
            press("4", batch, "skip"),
            press("5", batch, "undo", "4"),
            press("6", batch, "undo", "1"),
            press("7", batch, "undo", "2"),
        ):
            store.add(given)
            said.append(store.states(batch)[IDS[0]].label)
        assert said == ["обувь", "одежда", "одежда", None, "одежда", "одежда", None]
        assert store.states(batch) == {IDS[0]: State(None, "детская")}


def test_a_press_that_is_sent_twice_counts_once(path: Path) -> None:
    with PageStore(path) as store:
        batch = store.open(reviews(TEXTS))
        first, second = press("1", batch, "answer", "обувь"), press("2", batch, "answer", "одежда")
        for given in (first, second, first):
            store.add(given)
        assert [logged.press for logged in store.log(batch)] == ["1", "2"]
        assert store.states(batch)[IDS[0]].label == "одежда"
        (later,) = store.log(batch, after=1)
        assert (later.press, later.number) == ("2", 2)


def test_what_no_batch_has_is_refused(path: Path) -> None:
    with PageStore(path) as store:
        batch = store.open(reviews(TEXTS))
        for unknown in (press("1", batch, "skip", review="0" * 16), press("2", "another", "skip")):
            with pytest.raises(UnknownReviewError):
                store.add(unknown)
        assert store.log(batch) == []


def test_a_batch_that_was_not_written_is_written_with_the_next_one(path: Path) -> None:
    with PageStore(path) as store:
        old = store.open(reviews(TEXTS))
        new = store.open(reviews([*TEXTS, "щётка"]))
        assert old != new
        store.add(press("1", old, "answer", "одежда"))
        store.add(press("2", old, "answer", "обувь", IDS[1]))
        store.add(press("3", new, "skip"))
        assert not store.is_written()
        with pytest.raises(RuntimeError), store.writing(new):
            raise RuntimeError("the disk is full")
        assert not store.is_written()
        with store.writing(new) as rows:
            assert rows[["id", "text", "drawn"]].to_numpy().tolist() == [
                [IDS[0], "кофта", "random"], [IDS[1], "сапоги", "random"],
            ]  # fmt: skip
            assert rows["label"].tolist() == [None, "обувь"]
        assert store.is_written()
        with store.writing(new) as rows:
            assert rows["id"].tolist() == [IDS[0]]
        store.add(press("4", old, "answer", "посуда", IDS[2]))
        with store.writing(None) as rows:
            assert rows["label"].tolist() == ["одежда", "обувь", "посуда"]


def _press_until_it_ends(path: Path, told: Connection) -> None:
    with PageStore(path) as store:
        batch = store.open(reviews(TEXTS))
        for number in range(10_000):
            store.add(press(str(number), batch, "answer", str(number)))
            told.send(number)


def test_what_was_said_to_be_saved_survives_kill_9(path: Path) -> None:
    told, tell = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_press_until_it_ends, args=(path, tell))
    process.start()
    while told.recv() < 20:
        pass
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    saved = 20
    while told.poll():
        saved = told.recv()
    with PageStore(path) as store:
        log = store.log(store.open(reviews(TEXTS)))
    # One more may have reached the disk, unsaid.
    assert [logged.press for logged in log][: saved + 1] == list(map(str, range(saved + 1)))
    assert len(log) - (saved + 1) in (0, 1)


def test_a_file_that_cannot_be_used_says_what_to_do(path: Path) -> None:
    path.mkdir()
    with pytest.raises(DataError, match=r"page\.sqlite: .* Make room or let it be written to"):
        PageStore(path)


def test_a_batch_that_was_sorted_is_the_same(path: Path) -> None:
    with PageStore(path) as store:
        assert store.open(reviews(TEXTS)) == store.open(reviews(TEXTS[::-1]))
