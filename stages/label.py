"""Stage `label`: the teacher labels the reviews, and the gold texts for comparison only."""

from __future__ import annotations

import logging
from dataclasses import asdict

from stages.cluster.config import Execute
from stages.cluster.executor import open_model
from stages.common.gold import drawn_rows
from stages.common.labels import Labels
from stages.labelling.config import Label, Prompt
from stages.labelling.teacher import Teacher
from stages.llm.cache import CachedModel
from stages.llm.config import Vllm
from stages.running.config import load, section
from stages.running.errors import DataError, run_stage
from stages.running.io import DATA, read_table, write_json, write_table
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_seeds

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    labels: Labels
    vocabulary: VocabularyFiles
    vllm: Vllm
    execute: Execute
    prompt: Prompt
    label: Label


def main() -> None:
    """Read `data/ingest/`; write `data/label/`."""
    params = load(Params)
    backend = open_model(params.label.backend, DATA / "models/teacher", params.vllm, params.execute)
    seeds = read_seeds(params.vocabulary.seeds, params.labels.names)
    teacher = Teacher(CachedModel(backend), params.labels.names, params.prompt, params.label, seeds)
    reviews, prior = teacher.label_reviews(read_table(DATA / "ingest/reviews.parquet"))
    parsed = reviews[reviews["failure"] == ""]
    if parsed.empty:
        first = reviews.iloc[0]
        raise DataError(f"no review got a label from the teacher. The first one: {first['failure']} {first['raw']!r}")
    write_table(DATA / "label/labels.parquet", parsed.drop(columns="failure"))
    write_table(DATA / "label/quarantine.csv", reviews.loc[reviews["failure"] != "", ["id", "text", "raw", "failure"]])
    write_json(DATA / "label/prior.json", {"labels": params.labels.names, "prior": prior.tolist()})
    # The gold texts are labelled with the prior of the reviews: the teacher must not adapt to the test.
    gold = read_table(DATA / "ingest/gold.parquet")
    gold = drawn_rows(gold[gold["label"] != ""].drop(columns="label"), params.label.gold_rows)
    write_table(DATA / "label/asked.parquet", gold[["gold_set", "id"]])
    unique_gold, _ = teacher.label_reviews(gold.drop_duplicates("id"), prior, explain=False)
    # A checked review without an answer counts as answered wrongly.
    lost = unique_gold[unique_gold["failure"] != ""]
    if len(lost):
        reason = lost.iloc[0]["failure"]
        logger.warning("%d checked reviews got no label from the teacher, the first one: %s", len(lost), reason)
    answers = unique_gold.loc[unique_gold["failure"] == "", ["id", "label", "confidence", "probabilities"]]
    write_table(DATA / "label/gold.parquet", gold[["gold_set", "id"]].merge(answers, on="id"))
    write_json(DATA / "label/spent.json", {"teacher": asdict(teacher.model.spent)})
    logger.info("%d reviews labelled, %d in %s", len(parsed), len(reviews) - len(parsed), DATA / "label/quarantine.csv")


if __name__ == "__main__":
    run_stage(main, "What was answered so far is stored; the same command goes on from there.")
