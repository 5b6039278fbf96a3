"""What all would take follows from what a few took."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from stages.llm.config import Price, Server
from stages.llm.spending import Spent
from stages.previewing.cost import Asked, asked, estimate, in_words
from stages.running.record import Entry
from tests.served import composed

LABEL = Entry(
    "label", began=1.0, seconds=60.0, processor_seconds=90.0, peak_gb=1.0, succeeded=True,
    done={"answers": 20, "known answers": 5, "fresh tokens": 1000, "written tokens": 40, "answering seconds": 10},
)  # fmt: skip


def record(path: Path, *entries: Entry) -> Path:
    path.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in entries))
    return path


def test_a_question_takes_what_the_model_took_without_its_start(tmp_path: Path) -> None:
    given = asked("label", {}, record(tmp_path / "run.jsonl", replace(LABEL, stage="embed", done={}), LABEL))
    assert given == Asked(questions=25, fresh=50, written=2, seconds=0.5, spent={})


def test_where_a_server_answers_it_is_the_stage_that_is_timed(tmp_path: Path) -> None:
    served = replace(LABEL, done={name: count for name, count in LABEL.done.items() if name != "answering seconds"})
    assert asked("label", {}, record(tmp_path / "run.jsonl", served)).seconds == 3


def test_a_run_that_knew_all_answers_is_timed_by_the_one_before(tmp_path: Path) -> None:
    known = replace(LABEL, began=2.0, seconds=5.0, done={"known answers": 27})
    failed = replace(LABEL, began=3.0, succeeded=False, done={"answers": 1})
    assert asked("label", {}, record(tmp_path / "run.jsonl", LABEL, known, failed)) == Asked(27, 50, 2, 0.5, {})


def test_where_nothing_was_ever_asked_nobody_knows_the_time(tmp_path: Path) -> None:
    known = replace(LABEL, done={"known answers": 27})
    given = asked("label", {}, record(tmp_path / "run.jsonl", known))
    assert given.questions == 27
    (row, both) = in_words(estimate("label", given, 10, 7, {}))
    assert row == {
        "stage": "label",
        "questions": "207",
        "tokens": "not measured",
        "time": "not measured",
        "price": "none",
    }
    assert both["time"] == "not measured"


def test_questions_without_content_are_asked_once() -> None:
    made = estimate("label", Asked(27, 50, 2, 0.5, {}), factor=100, fixed=7, servers={"teacher": None})
    assert made.to_dict("records") == [
        {
            "stage": "label",
            "questions": 2007,
            "fresh_tokens": 100_350,
            "written_tokens": 4014,
            "seconds": 1003.5,
            "cost": 0,
        }
    ]


def server(price: Price | None) -> Server:
    given = composed().models["teacher"].server
    assert isinstance(given, Server)
    return replace(given, price=price)


def test_money_is_what_the_server_counted_at_its_price() -> None:
    given = Asked(20, 50, 2, 0.5, {"teacher": Spent(requests=20, prompt=2000, cached=1000, written=40)})
    price = Price(prompt=1.0, cached=0.5, written=10.0)
    made = estimate("label", given, 1000, 0, {"teacher": server(price)})
    # A million tokens read, a million of a cache, 40,000 written.
    assert made["cost"].item() == pytest.approx(1.0 + 0.5 + 0.4)
    unpriced = estimate("label", given, 1000, 0, {"teacher": server(None)})
    assert math.isnan(unpriced["cost"].item())
    both = in_words(pd.concat([made, unpriced]))
    assert [row["price"] for row in both] == ["1.90", "no server.price is set", "no server.price is set"]


def test_where_nothing_is_to_be_written_nothing_is_asked() -> None:
    made = estimate("generate", Asked(0, math.nan, math.nan, math.nan, {}), 0, 0, {})
    assert in_words(made)[0] == {
        "stage": "generate", "questions": "0", "tokens": "0 read, 0 written", "time": "about 0 s", "price": "none",
    }  # fmt: skip


def test_both_stages_are_summed() -> None:
    parts = [estimate(name, Asked(20, 50, 2, 3.0, {}), 6, 0, {}) for name in ("label", "generate")]
    assert in_words(pd.concat(parts))[-1] == {
        "stage": "both", "questions": "240", "tokens": "12,000 read, 480 written", "time": "about 12 min",
        "price": "none",
    }  # fmt: skip
