"""What the teacher is best asked, given the second opinion: all, nothing, or only what the second opinion doubts.

    python -m benchmarks.teacher_use                              # after `dvc repro curate`
    python -m benchmarks.teacher_use --narrowed [--role generator] [--share 0.5]

On the checked reviews that choices are made on: `data.gold.calibration` of the sample, `gold_dev` of a clothing shop
(`data=case`; README.md beside this file), and, to be reported only, `rare`. The sample's gold is never read.

The first command scores labels, and students that learn from such labels of the run's train rows and from the written
reviews of rare categories. It adds to `teacher_use.json` under the name of the data. The second asks a model again
about the checked reviews that the second opinion doubts most, with its likeliest categories as the only choices, and
with the written reviews nearest to the one in question: the share of right labels, and the tokens that it takes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.heads import Heads, Rows
from stages.common.arrays import FloatArray, IntArray, label_indices
from stages.common.gold import labelled_gold
from stages.common.templates import load_template
from stages.composition.params import Params, load_all
from stages.curation.second_opinion import SecondOpinion, combine
from stages.embedding.embedder import Embedder
from stages.labelling.calibration import calibrate
from stages.labelling.teacher import Teacher, given_choices
from stages.llm.cache import CachedModel
from stages.llm.vllm_backend import DEFAULT_BLOCK, VllmBackend
from stages.running.io import DATA, read_table
from stages.running.progress import Progress
from stages.running.work import fresh_tokens
from stages.synthesis.plan import imbalance_plan
from stages.vocabulary.vocabulary import Vocabulary, read_vocabulary

RECORD = Path("benchmarks/teacher_use.json")
RESAMPLES = 1000
TODAY, NOBODY = "all, {weight} (default)", "nothing"
WEIGHTS = (0.1, 0.2, 0.3, 0.5)
# Shares of the reviews that are asked about, those first on which the second opinion's two likeliest are closest.
SHARES = (0.1, 0.25, 0.5)
# Labels of reviews from what the second opinion and the teacher say: (rows, labels) each.
Use = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Figure:
    """A use of the teacher on a set of checked rows: F1 of the labels and of the student, and each less today's.

    `over`: mean and ends of a 95% interval over bootstrap samples of the rows, the same for both.
    """

    use: str
    measure: str
    labels: float
    labels_over: tuple[float, float, float]
    student: float
    student_over: tuple[float, float, float]


@dataclass(frozen=True)
class Run:
    """What a run knows of its reviews and of the checked ones: texts, vectors, and what both models say of them."""

    params: Params
    vocabulary: Vocabulary
    embedder: Embedder
    reviews: pd.DataFrame
    checked: pd.DataFrame
    opinion: FloatArray
    opinion_checked: FloatArray

    @property
    def names(self) -> list[str]:
        """The labels in their order."""
        return self.params.labels.names

    @property
    def truth(self) -> IntArray:
        """Label indices of the checked rows."""
        return label_indices(self.checked["label"], self.names)

    def parts(self) -> dict[str, tuple[IntArray, str]]:
        """What is measured: places among the checked rows, and how F1 is averaged."""
        sets, random = self.checked["gold_set"], self.checked["stratum"] == "random"
        chosen = {
            "checked, macro F1": (sets == "checked", "macro"),
            "gold_dev, weighted F1": ((sets == "gold_dev") & random, "weighted"),
            "clear, weighted F1": ((sets == "gold_dev") & random & (self.checked["flag"] == "clear"), "weighted"),
            "rare, macro F1": (sets == "rare", "macro"),
        }
        found = {measure: (np.flatnonzero(rows), average) for measure, (rows, average) in chosen.items()}
        return {measure: part for measure, part in found.items() if len(part[0])}


def main() -> None:
    """Print a table; without `--narrowed` write the record too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--narrowed", action="store_true", help="ask anew about doubtful reviews, in fewer words")
    parser.add_argument("--role", choices=("teacher", "generator"), default="teacher", help="whose weights are asked")
    parser.add_argument("--share", type=float, default=0.5, help="of the reviews, how many are doubtful (default 0.5)")
    arguments = parser.parse_args()
    run = read_run()
    backend = VllmBackend(DATA / "models" / arguments.role, run.params.vllm)
    if arguments.narrowed:
        print("\n".join(narrowed(run, backend, arguments.share)))
        return
    figures = pooled(run, CachedModel(backend))
    record = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    record[run.params.data.name] = [asdict(figure) for figure in figures]
    RECORD.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    print(as_table(figures))


def read_run() -> Run:
    """Read the run's tables, embed the texts, fit the second opinion."""
    params = load_all()
    names = params.labels.names
    reviews = read_table(DATA / "ingest/reviews.parquet")
    calibration = labelled_gold(DATA / "ingest/calibration.parquet", names).assign(gold_set="checked")
    gold = labelled_gold(DATA / "ingest/gold.parquet", names)
    others = gold[gold["gold_set"].isin(["gold_dev", "rare"])]
    checked = pd.concat([calibration, others], ignore_index=True)
    embedder = Embedder(DATA / "models/embedder", params.embed)
    vocabulary = read_vocabulary(params.vocabulary, names)
    written = vocabulary.examples()
    second = SecondOpinion.fit(
        embedder.embed(written["text"].to_list()), written["label"].to_list(), names, params.curate.regularisation
    )
    return Run(
        params=params,
        vocabulary=vocabulary,
        embedder=embedder,
        reviews=reviews,
        checked=checked,
        opinion=second.distributions(embedder.embed(reviews["text"].to_list())),
        opinion_checked=second.distributions(embedder.embed(checked["text"].to_list())),
    )


def pooled(run: Run, model: CachedModel) -> list[Figure]:
    """Every use of the teacher's answers, held against today's."""
    teacher = Teacher(model, run.names, run.params.prompt, run.params.label, run.vocabulary.seeds)
    raw = teacher.distributions(given_choices(teacher.choices(run.reviews["text"].to_list())))
    prior, strength = teacher.prior(raw), run.params.label.calibration_strength
    answers = calibrate(raw, prior, strength)
    given = given_choices(teacher.choices(run.checked["text"].to_list()))
    answers_checked = calibrate(teacher.distributions(given), prior, strength)
    taught = Taught(run)
    labels: dict[str, tuple[IntArray, IntArray]] = {}
    ways = uses(run.opinion, answers, run.params.curate.teacher_weight)
    with Progress("uses of the teacher", len(ways), "uses") as progress:
        for name, use in ways.items():
            curated = use(run.opinion_checked, answers_checked).argmax(axis=1)
            labels[name] = curated, taught.answers(use(run.opinion, answers))
            progress.update(1)
    today = TODAY.format(weight=run.params.curate.teacher_weight)
    return [
        Figure(name, measure, *of_labels, *of_student)
        for measure, part in run.parts().items()
        for name in ways
        for of_labels, of_student in [
            [over(run.truth, mine, theirs, *part) for mine, theirs in zip(labels[name], labels[today], strict=True)]
        ]
    ]


def uses(reviews: FloatArray, answers: FloatArray, weight: float) -> dict[str, Use]:
    """The uses by name, today's first.

    Args:
        reviews: (reviews, labels), what the second opinion says of the run's reviews: how many are doubtful.
        answers: (reviews, labels), what the teacher says of them.
        weight: the teacher's say today.
    """
    mean = answers.mean(axis=0)

    def of_weight(weight: float) -> Use:
        return lambda opinion, teacher: combine(teacher, opinion, weight)

    def of_share(share: float, weight: float) -> Use:
        limit = np.quantile(margins(reviews), share)
        return lambda opinion, teacher: np.where(
            (margins(opinion) <= limit)[:, None], combine(teacher, opinion, weight), opinion
        )

    found: dict[str, Use] = {TODAY.format(weight=weight): of_weight(weight), NOBODY: lambda opinion, teacher: opinion}
    found |= {f"all, {other}": of_weight(other) for other in WEIGHTS if other != weight}
    found |= {f"doubtful {share:.0%}, {each}": of_share(share, each) for share in SHARES for each in (weight, 0.5)}
    # What a review's own answer adds to how often the teacher names each category.
    found["the same mean answer for all"] = lambda opinion, teacher: combine(mean[None], opinion, weight)
    return found


def margins(distributions: FloatArray) -> FloatArray:
    """By how much the likeliest label leads, (rows,)."""
    ordered = np.sort(distributions, axis=1)
    lead: FloatArray = ordered[:, -1] - ordered[:, -2]
    return lead


class Taught:
    """Students of the run's train rows, labelled in one way or another, and of the written reviews of rare labels."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.heads = Heads.of(run.params)
        self.train = np.flatnonzero(run.reviews["split"] == "train")
        self.texts = self.heads.texts(run.reviews["text"].iloc[self.train].to_list())
        self.checked = self.heads.texts(run.checked["text"].to_list())
        self.written = self.heads.texts(run.vocabulary.seeds["text"].to_list())

    def answers(self, curated: FloatArray) -> IntArray:
        """Label indices that such a student gives the checked rows; `curated` (reviews, labels)."""
        names, soft = self.run.names, curated[self.train]
        labels = soft.argmax(axis=1)
        plan = imbalance_plan(pd.Series([names[label] for label in labels]), names, self.run.params.plan)
        rare = plan.loc[plan["rare"] | (plan["to_generate"] > 0), "label"]
        seeds = self.run.vocabulary.seeds
        chosen = np.flatnonzero(seeds["label"].isin(rare))
        truth = label_indices(seeds["label"], names)[chosen]
        written = Rows.checked(self.written.take(chosen), truth, len(names))
        rows = Rows(self.texts, labels, soft).joined(written)
        found: IntArray = self.heads.logits(rows, self.run.params.train, self.checked).argmax(axis=1)
        return found


def over(
    truth: IntArray, mine: IntArray, theirs: IntArray, rows: IntArray, average: str
) -> tuple[float, tuple[float, float, float]]:
    """F1 of `mine` on `rows`, and its lead over `theirs`: mean and 95% percentiles over bootstrap samples."""
    counts = np.random.default_rng(0).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=RESAMPLES)
    whole = np.ones((1, len(rows)))
    lead = f1(truth[rows], mine[rows], counts, average) - f1(truth[rows], theirs[rows], counts, average)
    low, high = np.percentile(lead, [2.5, 97.5])
    return float(f1(truth[rows], mine[rows], whole, average)[0]), (float(lead.mean()), float(low), float(high))


def f1(truth: IntArray, answers: IntArray, counts: FloatArray | IntArray, average: str) -> FloatArray:
    """F1 (samples,) over the labels of `truth`, each row counted `counts` (samples, rows) times."""
    labels = np.unique(truth)[:, None]
    true, said = truth == labels, answers == labels
    rows, named = counts @ true.T, counts @ said.T
    by_label = 2 * (counts @ (true & said).T) / np.maximum(rows + named, 1)
    weights = rows if average == "weighted" else (rows > 0)
    return np.asarray((by_label * weights).sum(axis=1) / weights.sum(axis=1))


def as_table(figures: Sequence[Figure]) -> str:
    """Markdown: a row a use, a column a measure, of labels and student."""
    measures = list(dict.fromkeys(figure.measure for figure in figures))
    by_use: dict[str, list[str]] = {}
    for figure in figures:
        for value, (mean, low, high) in (
            (figure.labels, figure.labels_over),
            (figure.student, figure.student_over),
        ):
            by_use.setdefault(figure.use, []).append(f"{value:.3f} ({mean:+.3f} [{low:+.3f}, {high:+.3f}])")
    head = [f"{measure}: {who}" for measure in measures for who in ("labels", "student")]
    lines = [f"| asked about, its say | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    return "\n".join(lines + [f"| {use} | {' | '.join(cells)} |" for use, cells in by_use.items()])


def narrowed(run: Run, backend: VllmBackend, share: float) -> list[str]:
    """Markdown: the share of right labels of doubtful checked rows, by what the teacher is asked."""
    rows = np.flatnonzero(margins(run.opinion_checked) <= np.quantile(margins(run.opinion), share))
    opinion, truth, sets = run.opinion_checked[rows], run.truth[rows], run.checked["gold_set"].iloc[rows]
    lines = [
        f"| asked | tokens | fresh | set | rows | second opinion | alone | {' | '.join(map(str, WEIGHTS))} |",
        f"|---|---|---|---|---|---|---|{'---|' * len(WEIGHTS)}",
    ]
    model, answers = CachedModel(backend), [run.params.prompt.category_prefix + name for name in run.names]
    for way, (count, prompts) in ways_of_asking(run, backend, rows).items():
        # In this order prompts share their beginnings.
        order = np.argsort(prompts, kind="stable")
        given = model.choose([prompts[row] for row in order], answers, way)
        said = np.empty_like(opinion)
        said[order] = np.exp([choice.logprobs for choice in given_choices(given)])
        said = np.where(opinion >= np.sort(opinion, axis=1)[:, [-count]], said, 0)
        said /= said.sum(axis=1, keepdims=True)
        tokens = [backend.tokenizer.encode(prompts[row], add_special_tokens=False) for row in order]
        cost = [
            sum(map(len, tokens)) / len(rows),
            fresh_tokens(tokens, run.params.vllm.block_size or DEFAULT_BLOCK) / len(rows),
        ]
        for name in sets.unique():
            of = (sets == name).to_numpy()
            found = [opinion, said, *(combine(said, opinion, weight) for weight in WEIGHTS)]
            right = [f"{np.mean(one[of].argmax(axis=1) == truth[of]):.3f}" for one in found]
            lines.append(f"| {way} | {cost[0]:.0f} | {cost[1]:.0f} | {name} | {of.sum()} | {' | '.join(right)} |")
    return lines


def ways_of_asking(run: Run, backend: VllmBackend, rows: IntArray) -> dict[str, tuple[int, list[str]]]:
    """By name: among how many categories a label is chosen, and the prompt of each of `rows`."""
    texts = run.checked["text"].iloc[rows].to_list()
    vectors = run.embedder.embed(texts)
    seeds = run.vocabulary.seeds
    likeness = vectors @ run.embedder.embed(seeds["text"].to_list()).T
    products = {label: list(listed)[:8] for label, listed in run.vocabulary.products.items()}
    strict = load_template(run.params.prompt.template, backend.neutralise)
    shown = load_template("benchmarks/teacher_use.jinja", backend.neutralise)

    def likeliest(row: int, count: int) -> list[str]:
        return [run.names[label] for label in sorted(run.opinion_checked[rows[row]].argsort()[-count:])]

    def listed(row: int, count: int) -> str:
        return backend.render(strict.render(labels=likeliest(row, count), review=texts[row], examples=[]))

    def nearest(row: int, count: int) -> str:
        labels = likeliest(row, count)
        # The two nearest of each category, the nearest of all last.
        near = pd.Series(likeness[row])[seeds["label"].isin(labels).to_numpy()].sort_values()
        chosen = near.groupby(seeds["label"]).tail(2).index
        examples = seeds.loc[chosen, ["text", "label"]].to_dict("records")
        return shown.render(labels=labels, products=products, examples=examples, review=texts[row]) + "\n"

    every = len(run.names)
    found = {"all categories": (every, [listed(row, every) for row in range(len(rows))])}
    for count in (2, 3):
        found[f"{count} likeliest"] = count, [listed(row, count) for row in range(len(rows))]
        found[f"{count} likeliest, with examples"] = count, [nearest(row, count) for row in range(len(rows))]
    return found


if __name__ == "__main__":
    main()
