"""Stage `label`: the teacher labels the reviews, and the gold texts for comparison only."""

from __future__ import annotations

import logging

import pandas as pd

from stages.common.config import load
from stages.common.errors import DataError, run_stage
from stages.common.io import read_table, write_json, write_table
from stages.common.schema import INGEST, LABEL, METRICS, MODELS
from stages.common.vocabulary import read_seeds
from stages.labelling.teacher import Teacher
from stages.llm.backend import open_backend
from stages.llm.cache import CachedModel

logger = logging.getLogger(__name__)


def main() -> None:
    """Read `data/ingest/`; write `data/label/` and `metrics/label.json`."""
    params = load()
    backend = open_backend(params.label.backend, MODELS / "teacher", params.vllm)
    seeds = read_seeds(params.generate.seeds, params.labels.names)
    teacher = Teacher(CachedModel(backend), params.labels.names, params.prompt, params.label, seeds)
    reviews, prior = teacher.label_reviews(read_table(INGEST / "reviews.parquet"))
    parsed = reviews[reviews["failure"] == ""]
    if parsed.empty:
        raise DataError(f"no answer of the teacher could be parsed; the first one: {reviews.iloc[0]['raw']!r}")
    write_table(LABEL / "labels.parquet", parsed.drop(columns="failure"))
    write_table(LABEL / "quarantine.csv", reviews.loc[reviews["failure"] != "", ["id", "text", "raw", "failure"]])
    write_json(LABEL / "prior.json", {"labels": params.labels.names, "prior": prior.tolist()})
    # The gold texts are labelled with the prior of the reviews: the teacher must not adapt to the test.
    gold = read_table(INGEST / "gold.parquet")
    gold = gold[gold["label"] != ""].drop(columns="label")
    unique_gold, _ = teacher.label_reviews(gold.drop_duplicates("id"), prior, explain=False)
    answers = unique_gold[["id", "label", "confidence", "probabilities"]]
    write_table(LABEL / "gold.parquet", gold[["gold_set", "id"]].merge(answers, on="id"))
    write_json(METRICS / "label.json", summary(reviews, params.label.low_confidence))
    logger.info("%d reviews labelled, %d quarantined", len(parsed), len(reviews) - len(parsed))


def summary(reviews: pd.DataFrame, low_confidence: float) -> dict[str, object]:
    """Coverage, confidence and class counts of the labelled reviews; below `low_confidence` they are doubtful."""
    parsed = reviews[reviews["failure"] == ""]
    return {
        "label_coverage": round(len(parsed) / len(reviews), 4),
        "quarantined": len(reviews) - len(parsed),
        "explained": int((parsed["explanation"] != "").sum()),
        "mean_confidence": round(float(parsed["confidence"].mean()), 4),
        "doubtful_share": round(float((parsed["confidence"] < low_confidence).mean()), 4),
        "mean_label_mass": round(float(parsed["label_mass"].mean()), 4),
        "classes": parsed["label"].value_counts().to_dict(),
    }


if __name__ == "__main__":
    run_stage(main)
