"""What language models would take for all reviews, by what they took for a few."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from stages.llm.config import Server
from stages.llm.spending import Spent, cost
from stages.running.record import RECORD, Entry, duration

COLUMNS = ["stage", "questions", "fresh_tokens", "written_tokens", "seconds", "cost"]


@dataclass(frozen=True)
class Asked:
    """`questions` of a stage in the preview, and what one of them took: tokens read and in no cache, written, seconds.

    The latter three are nan where no run had anything to ask. `spent`: what servers counted, by role.
    """

    questions: int
    fresh: float
    written: float
    seconds: float
    spent: Mapping[str, Spent]


def asked(stage: str, spent: Mapping[str, Spent], path: Path = RECORD) -> Asked:
    """What `stage` asked in its last run, by the record at `path`; what that took, in the last run that asked anew.

    The time is the model's alone, without its start; the whole stage's where a server or replicas answered.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    runs = [entry for line in lines if (entry := Entry(**json.loads(line))).stage == stage and entry.succeeded]
    last = runs[-1].done if runs else {}
    questions = round(last.get("answers", 0) + last.get("known answers", 0))
    timed = next((run for run in reversed(runs) if run.done.get("answers")), None)
    if timed is None:
        return Asked(questions, math.nan, math.nan, math.nan, spent)
    done = timed.done
    answers, seconds = done["answers"], done.get("answering seconds", timed.seconds)
    fresh, written = done.get("fresh tokens", 0), done.get("written tokens", 0)
    return Asked(questions, fresh / answers, written / answers, seconds / answers, spent)


def estimate(stage: str, given: Asked, factor: float, fixed: int, servers: Mapping[str, Server | None]) -> pd.DataFrame:
    """A row (`COLUMNS`) for all: `fixed` of the questions are asked once, whatever the file, the others `factor` times.

    `cost` is in the unit of `server.price`, 0 where no server is asked, nan where the price is not known.
    """
    questions = fixed + (given.questions - fixed) * factor
    grown = questions / given.questions if given.questions else 0.0
    price = 0.0
    for role, counted in given.spent.items():
        if server := servers[role]:
            of_all = Spent(*(round(getattr(counted, part.name) * grown) for part in fields(Spent)))
            price += cost(of_all, server.price)
    taken = (part * questions if questions else 0.0 for part in (given.fresh, given.written, given.seconds))
    return pd.DataFrame([(stage, round(questions), *taken, price)], columns=COLUMNS)


def in_words(estimates: pd.DataFrame) -> list[dict[str, str]]:
    """A row for each stage and one for both together, as `stage`, `questions`, `tokens`, `time` and `price`."""
    both = {"stage": "both", **estimates.drop(columns="stage").sum(skipna=False)}
    return [_row_in_words(row) for row in [*estimates.to_dict("records"), both]]


def _row_in_words(row: Mapping[str, float | str]) -> dict[str, str]:
    read, written, seconds, price = (float(row[name]) for name in COLUMNS[2:])
    known = not math.isnan(read)
    return {
        "stage": str(row["stage"]),
        "questions": f"{row['questions']:,.0f}",
        "tokens": f"{read:,.0f} read, {written:,.0f} written" if known else "not measured",
        "time": "not measured" if math.isnan(seconds) else f"about {duration(seconds, rough=True)}",
        "price": "no server.price is set" if math.isnan(price) else f"{price:,.2f}" if price else "none",
    }
