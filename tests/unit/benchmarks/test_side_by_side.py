"""Who is measured takes turns, in a process of its own, and the figures are what they are called."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from functools import partial

import pytest

from benchmarks.classification import agreement
from benchmarks.labelling import read_category
from benchmarks.labelling_contenders import Request, common_prefix
from benchmarks.side_by_side import Contender, Round, Spread, interleave, table
from stages.hardware.sizing import Network
from tests.conftest import ROOT


def test_all_do_a_job_before_any_does_the_next_and_whoever_was_first_is_last() -> None:
    calls: list[tuple[str, int]] = []

    def ask(name: str, job: int) -> Round:
        calls.append((name, job))
        return Round(seconds=float(job), answer=f"{name}{job}")

    rounds = interleave({name: partial(ask, name) for name in "abc"}, [1, 2, 3])
    assert "".join(name for name, _ in calls) == "abcbcacab"
    assert [job for _, job in calls] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [taken.answer for taken in rounds["c"]] == ["c1", "c2", "c3"]


def test_a_contender_lives_in_one_other_process_and_its_errors_come_back() -> None:
    contender = Contender(partial(deque, [1]))
    assert contender.ask("append", 2).answer is None
    assert contender.ask("pop").answer == 2
    assert contender.ask("popleft").answer == 1
    with pytest.raises(IndexError, match="empty deque"):
        contender.ask("pop")
    other = Contender(partial(__import__, "os"))
    assert other.ask("getpid").answer != os.getpid()
    taken = other.ask("nice", 0)
    assert 0 < taken.seconds < 1


def test_a_contender_that_has_a_process_of_its_own_ends_with_the_measurement() -> None:
    code = """
import time
from functools import partial
from multiprocessing import Process
from benchmarks.side_by_side import Contender

engine = Contender(partial(Process, target=time.sleep, args=(1000,)))
engine.ask("start")
assert engine.ask("is_alive").answer
print("measured")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "measured\n"), done.stderr


def test_a_spread_is_median_lowest_and_highest() -> None:
    spread = Spread.of([3.0, 1.0, 10.0, 2.0])
    assert spread == Spread(median=2.5, low=1.0, high=10.0)
    assert f"{spread:.1f}" == "2.5 [1.0, 10.0]"


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_request_computes_what_was_not_cached_and_all_but_the_last_token_written() -> None:
    network = Network(body=10, weights=12, layers=1, width=1)
    request = Request(cached=100, prompt=104, written=3)
    assert request.computed == 6
    # Six tokens of 2 x 10 and attention 4 x 103 on average, three times the output matrix.
    assert request.operations(network) == pytest.approx(6 * (20 + 4 * 103) + 3 * 2 * 2)


@pytest.mark.parametrize(
    ("left", "right", "common"), [([1, 2, 3], [1, 2, 4], 2), ([1, 2], [1, 2, 3], 2), ([1], [2], 0), ([], [1], 0)]
)
def test_common_prefix(left: list[int], right: list[int], common: int) -> None:
    assert common_prefix(left, right) == common


@pytest.mark.parametrize(
    ("text", "category"),
    [
        (" юбка\nКатегория: одежда\n\nОтзыв: плед\nТовар: плед\nКатегория: текстиль", "одежда"),
        ("Категория:  текстиль \nПояснение: плед", "текстиль"),
        (" юбка\nКатегория: верхняя одежда", ""),
        ("одежда", ""),
    ],
)
def test_the_first_category_written_is_read_and_nothing_guessed(text: str, category: str) -> None:
    assert read_category(text, "Категория: ", ["одежда", "текстиль"]) == category


def test_agreement_counts_categories_and_compares_probabilities_where_they_agree() -> None:
    ours = [("обувь", 0.9), ("одежда", 0.6), ("одежда", 0.5)]
    theirs = [("обувь", 0.8), ("посуда", 0.1), ("одежда", 0.45)]
    assert agreement(ours, theirs) == (pytest.approx(2 / 3), pytest.approx(0.1))
    assert agreement(ours[:1], theirs[1:2]) == (0.0, 0.0)
