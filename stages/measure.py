"""Stage `measure`: labels, curation, training rows and synthetic reviews in figures. Nothing is made from them."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from stages.common.labels import Labels
from stages.common.provenances import SYNTHETIC_STEPS
from stages.embedding.stored import read_embeddings
from stages.labelling.config import Label
from stages.llm.spending import Spent, spending
from stages.measures.labels import changes, curation, labelling
from stages.measures.rows import train_counts
from stages.measures.steps import StepMeasures, became, rejected
from stages.measures.synthetic import Sample, as_table, measure_step
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, METRICS, read_json, read_table, write_json, write_table
from stages.synthesis.plan import shortfall, step_wanted
from stages.synthesis.reasons import REASONS
from stages.weights.config import Model

# The stages that ask language models, and the folder in which each says what that took.
SPENDING = {"label": "label", "generate": "synthetic"}


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    labels: Labels
    models: dict[str, Model]
    label: Label


def main() -> None:
    """Write `data/measures/`, `metrics/classes.csv`, `metrics/synthetic.csv` and `metrics/spending.csv`."""
    params = load(Params)
    names = params.labels.names
    labelled, reviews = read_table(DATA / "label/labels.parquet"), read_table(DATA / "correct/labels.parquet")
    quarantined = len(read_table(DATA / "label/quarantine.csv"))
    write_json(DATA / "measures/labels.json", asdict(labelling(labelled, quarantined, params.label.low_confidence)))
    curated = curation(reviews, names)
    write_json(DATA / "measures/curation.json", asdict(curated))
    write_table(DATA / "measures/changes.csv", changes(reviews))
    write_json(DATA / "measures/answers.json", read_json(DATA / "correct/counts.json"))
    write_table(METRICS / "classes.csv", pd.DataFrame(curated.classes.items(), columns=["label", "rows"]))
    write_json(DATA / "measures/rows.json", train_counts(read_table(DATA / "dataset/train.parquet"), names))
    train = reviews[reviews["split"] == "train"].reset_index(drop=True)
    tables = [measured(step, train, names, params.seed).assign(step=step) for step in SYNTHETIC_STEPS]
    of_all = pd.concat(tables).query("`class` == 'all'")
    write_table(METRICS / "synthetic.csv", of_all[["step", "measure", "synthetic", "real"]])
    spent = {stage: read_json(DATA / folder / "spent.json") for stage, folder in SPENDING.items()}
    taken = {stage: {role: Spent(**counts) for role, counts in roles.items()} for stage, roles in spent.items()}
    servers = {role: model.server for role, model in params.models.items()}
    write_table(METRICS / "spending.csv", spending(taken, servers))


def measured(step: str, train: pd.DataFrame, names: list[str], seed: int) -> pd.DataFrame:
    """Measure a step's candidates: write `<step>.json`, `<step>.csv` and `rejected_<step>.csv`; return the table."""
    candidates = read_table(DATA / "synthetic" / step / "candidates.parquet")
    written = candidates[candidates["reason"] == ""]
    accepted = Sample(written["text"].to_list(), read_embeddings(DATA / "synthetic" / step, written["id"].to_list()))
    real = read_embeddings(DATA / "embed", train["id"].to_list())
    figures = measure_step(candidates, accepted, train, real, names, seed)
    summary = StepMeasures(
        candidates=became(candidates, REASONS),
        accepted_share=round(len(written) / len(candidates), 4) if len(candidates) else None,
        shortfall=shortfall(candidates, step_wanted(read_table(DATA / "analyse/plan.csv"))),
        measures=figures["all"],
    )
    write_json(DATA / f"measures/{step}.json", asdict(summary))
    table = as_table(figures)
    write_table(DATA / f"measures/{step}.csv", table)
    write_table(DATA / f"measures/rejected_{step}.csv", rejected(candidates))
    return table


if __name__ == "__main__":
    run_stage(main)
