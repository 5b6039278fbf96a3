"""The tables of docs/scale.md: what 100 million and 10 billion reviews take, labelled all, or a sample of them.

    python -m benchmarks.scale                                   # prints them
    python -m benchmarks.scale --price "H100=2.10" --sample 1000000 --reviews 5e7
    python -m benchmarks.scale --write                           # puts them into docs/scale.md

Speeds are those of `stages/hardware/sizing.py`, with the error that docs/gpu.md states. Bytes are measured: the
sample's reviews, their prompts and answers to them are written as a run writes them.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.gpu_sizing import SETUPS
from stages.cluster.shards import Shard, Shards
from stages.common.provenances import PROVENANCES
from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware.sizing import PROCESSORS, PROMPT, STUDENT_REVIEW, UNCACHED, recomputes, student, teacher
from stages.labelling.prompting import Prompter
from stages.llm.backend import Choice
from stages.llm.cache import ResponseCache
from stages.llm.checks import stored_form
from stages.llm.questions import question_key, to_choose
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.io import write_table
from stages.vocabulary.vocabulary import read_seeds

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/scale.md"
REVIEWS = (100_000_000, 10_000_000_000)
SAMPLE = 500_000
# Dollars an hour of one card, rented by the hour. RunPod's as a third party listed them in March 2026 (deploybase.ai,
# lower of two columns; T4: April 2025); A100 40 GB: an assumption between L4 and A100 80 GB.
PRICES = {"T4": 0.25, "L4": 0.44, "RTX 4090": 0.34, "A100 40 GB": 1.00, "A100 80 GB": 1.39, "H100": 2.69}
# Rows a second of stage `ingest` in one process: 100,000 took 12 s of processor time (two cores with AVX-512, 2026).
INGEST = 8_000.0
# Numbers of an embedding: `ai-forever/sbert_large_nlu_ru`, the embedder of the profiles for cards.
WIDTH = 1024
BATCH = 64


@dataclass(frozen=True)
class Plan:
    """Seconds a review for each part, of the `cards` that hold one teacher for `label`; dollars an hour of them all."""

    cards: int
    dollars: float
    label: float
    encode: float
    train: float

    def everything(self, reviews: float) -> float:
        """Dollars if the teacher labels all."""
        return self.dollars * reviews * self.label / 3600

    def sampled(self, reviews: float, sample: float) -> tuple[float, float]:
        """Card hours and dollars if the teacher labels a sample, students learn from it, and one answers all."""
        # A student and the embedder are on one card, whatever the teacher takes.
        teacher = self.cards * sample * self.label / 3600
        rest = (sample * (self.encode + self.train) + reviews * self.encode) / 3600
        return teacher + rest, (teacher + rest) * self.dollars / self.cards


def plans(prices: dict[str, float]) -> dict[str, Plan]:
    """Seconds a review and prices, by the names of `gpu_sizing.SETUPS` whose card has a price."""
    found = {}
    for name, (card, overrides) in SETUPS.items():
        if name not in prices:
            continue
        params, processor = composed(tuple(overrides)), PROCESSORS[card]
        asked, learner, train = teacher(params, processor), student(params, processor), params.train
        assert asked is not None, name
        assert learner is not None, name
        epoch = learner.epoch(1_000_000, train.batch_size, recompute=recomputes(train, processor)) / 1_000_000
        cards = params.vllm.tensor_parallel_size
        learn = epoch * train.epochs * len(PROVENANCES)
        found[name] = Plan(cards, cards * prices[name], asked.label(), learner.batched(BATCH), learn)
    return found


@cache
def composed(overrides: tuple[str, ...]) -> Params:
    with tempfile.TemporaryDirectory() as folder:
        return compose(Path(folder) / "params.yaml", list(overrides), ROOT / "conf")


def tokens(reviews: tuple[float, ...]) -> list[str]:
    """What is read, and what of it is computed anew."""
    rows = [
        ("teacher: tokens of all prompts", PROMPT),
        ("of them computed, the others being in the prefix cache", UNCACHED),
        ("student: tokens", STUDENT_REVIEW),
    ]
    return table(
        ["", "a review", *map(of, reviews)], [[what, str(n), *(big(n * r) for r in reviews)] for what, n in rows]
    )


def hours(found: dict[str, Plan], reviews: tuple[float, ...], sample: float) -> list[str]:
    """Both ways, by card."""
    head = ["card", "$ an hour"]
    for number in reviews:
        head += [f"{of(number)}, all by the teacher: card hours", "$", f"a sample of {big(sample)}: card hours", "$"]
    rows = []
    for name, plan in found.items():
        row = [name, f"{plan.dollars / plan.cards:.2f}"]
        for number in reviews:
            sampled, cost = plan.sampled(number, sample)
            row += [f"{plan.cards * number * plan.label / 3600:,.0f}", f"{plan.everything(number):,.0f}"]
            row += [f"{sampled:,.0f}", f"{cost:,.0f}"]
        rows.append(row)
    return table(head, rows)


def storage(reviews: tuple[float, ...], sample: float) -> list[str]:
    """Bytes a review, and what they come to."""
    measured = bytes_a_row() | {f"vector of {WIDTH} numbers": 4.0 * WIDTH}
    rows = [
        [what, f"{each:.0f}", *(size(each * number) for number in (sample, *reviews))]
        for what, each in measured.items()
    ]
    return table(["", "bytes a review", f"the sample of {big(sample)}", *map(of, reviews)], rows)


def stages(plan: Plan, reviews: tuple[float, ...], sample: float, ingest: float) -> list[str]:
    """Where each stage's time goes: one process of `ingest`, and hours of one card."""
    seconds: list[tuple[str, str, Callable[[float], float], float | None]] = [
        ("`ingest`", "one process reading text", lambda n: n / ingest, None),
        ("`label`", "the teacher's arithmetic", lambda n: n * plan.label * plan.cards, sample),
        ("`embed`", "an encoder's arithmetic", lambda n: n * plan.encode, sample),
        ("`train`, all its students", "arithmetic of the epochs", lambda n: n * plan.train, sample),
        ("`predict`", "the student's arithmetic", lambda n: n * plan.encode, None),
    ]
    rows = []
    for name, bound, of_rows, part in seconds:
        on_all = [f"{of_rows(number) / 3600:,.0f}" for number in reviews]
        rows.append([name, bound, f"{of_rows(part) / 3600:,.1f}" if part else "", *on_all])
    held = 4.0 * WIDTH + 8.0 * len(composed(()).labels.names)
    memory = [size(held * number) for number in (sample, *reviews)]
    rows.append(["`curate`", "memory: vectors and distributions of all rows", *memory])
    return table(["stage", "bound by", "the sample, h", *(f"{of(number)}, h" for number in reviews)], rows)


@cache
def bytes_a_row() -> dict[str, float]:
    """Bytes a row of the sample's reviews, questions about them and answers, in the files that hold them."""
    params = composed(())
    texts = pd.read_csv(ROOT / params.data.path)["text"].to_list()
    names, backend = params.labels.names, ScriptedBackend(Path(), params.vllm)
    prompts = Prompter(params.prompt, backend, read_seeds(params.vocabulary.seeds, names)).render(texts, names)
    question = to_choose([params.prompt.category_prefix + name for name in names])
    keys = [question_key(backend.identity, prompt, question) for prompt in prompts]
    drawn = np.random.default_rng(0).dirichlet(np.full(len(names), 0.2), len(texts))
    answers = [stored_form(Choice("", np.log(row + 1e-12).tolist(), mass=float(row.max()))) for row in drawn]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_table(folder / "reviews.parquet", pd.DataFrame({"text": texts}))
        shards = Shards(folder, backend.identity)
        with shards.alone():
            asked = shards.ask(Shard("", keys, prompts, [question] * len(prompts)))
            answered = shards.finish("", dict(zip(keys, answers, strict=True)))
        cache = ResponseCache(folder / "responses.sqlite")
        for key, answer in zip(keys, answers, strict=True):
            cache.put(key, answer, backend.name)
        cache.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        files = {
            "text (Parquet)": folder / "reviews.parquet",
            "question (a shard)": asked,
            "answer (a shard)": answered,
            "answer (the cache, SQLite)": folder / "responses.sqlite",
        }
        return {what: path.stat().st_size / len(texts) for what, path in files.items()}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def of(number: float) -> str:
    return f"{big(number)} reviews"


def big(number: float) -> str:
    """A large number in words, to three figures."""
    for power, word in ((15, "quadrillion"), (12, "trillion"), (9, "billion"), (6, "million")):
        if number >= 10**power:
            return f"{number / 10**power:.3g} {word}"
    return f"{number:,.0f}"


def size(number: float) -> str:
    """Bytes in decimal units, to three figures."""
    power = min(4, int(np.log10(max(number, 1)) // 3))
    return f"{float(f'{number / 1000**power:.3g}'):g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def sections(
    reviews: tuple[float, ...] = REVIEWS,
    sample: float = SAMPLE,
    prices: dict[str, float] = PRICES,
    ingest: float = INGEST,
    card: str = "A100 80 GB",
) -> dict[str, list[str]]:
    """Each table under the heading that it has on the page."""
    found = plans(prices)
    return {
        "Tokens": tokens(reviews),
        "Hours and money": hours(found, reviews, sample),
        "Storage": storage(reviews, sample),
        "Where each stage's limit lies": stages(found[card], reviews, sample, ingest),
    }


def written(page: str, tables: dict[str, list[str]]) -> str:
    """`page` with the first table after each heading replaced."""
    for heading, lines in tables.items():
        place = re.compile(rf"(?s)(\n## {re.escape(heading)}\n(?:(?!\n## ).)*?\n)\|.*?\n(?=\n|$)")
        found = place.search(page)
        assert found, f"{PAGE} has no table below {heading!r}"
        page = page[: found.start()] + found[1] + "\n".join(lines) + "\n" + page[found.end() :]
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reviews", type=float, nargs="+", default=REVIEWS)
    parser.add_argument("--sample", type=float, default=SAMPLE, help="reviews that the teacher labels")
    parser.add_argument("--price", action="append", default=[], help='dollars an hour of a card, as "H100=2.10"')
    parser.add_argument("--ingest", type=float, default=INGEST, help="rows a second of stage ingest")
    parser.add_argument("--card", default="A100 80 GB", help="the card of the last table")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    arguments = parser.parse_args()
    given = dict(price.split("=") for price in arguments.price)
    prices = PRICES | {card: float(price) for card, price in given.items()}
    tables = sections(tuple(arguments.reviews), arguments.sample, prices, arguments.ingest, arguments.card)
    if arguments.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")
    else:
        print("\n\n".join("\n".join([f"## {heading}", "", *lines]) for heading, lines in tables.items()))


if __name__ == "__main__":
    main()
