"""Stage `generate`: one step of the synthesis, `python -m stages.generate base|paraphrase|style`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd

from stages.analysis.embeddings import Embeddings, embed, read_embeddings
from stages.common.config import Params, load
from stages.common.errors import ConfigError, run_stage
from stages.common.io import read_json, read_table, write_json, write_table
from stages.common.schema import ANALYSE, INGEST, LABEL, METRICS, MODELS, SYNTHETIC, SYNTHETIC_STEPS
from stages.common.spreadsheet import escape_formulas
from stages.labelling.teacher import Teacher
from stages.llm.backend import open_backend
from stages.llm.cache import CachedModel
from stages.synthesis.filters import Known, count_reasons
from stages.synthesis.generation import Writer
from stages.synthesis.measures import as_table, measure_step
from stages.synthesis.requests import read_vocabulary
from stages.synthesis.steps import step_requests, step_wanted

logger = logging.getLogger(__name__)

COLUMNS = (
    "id", "text", "label", "intended", "teacher_label", "confidence", "probabilities", "reason",
    "provenance", "seed_ids", "attributes", "prompt",
)  # fmt: skip


def main() -> None:
    """Read labels, plan and the earlier steps; write `data/synthetic/<step>/` and `metrics/generate_<step>.json`."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in SYNTHETIC_STEPS:
        raise ConfigError(f"step {name!r} does not exist; give one of {', '.join(SYNTHETIC_STEPS)}")
    params = load()
    step = getattr(params.generate, name)
    reviews, labelled = read_table(INGEST / "reviews.parquet"), read_table(LABEL / "labels.parquet")
    gold = read_table(INGEST / "gold.parquet")
    before = [
        read_table(SYNTHETIC / done / "written.parquet") for done in SYNTHETIC_STEPS[: SYNTHETIC_STEPS.index(name)]
    ]
    vocabulary = read_vocabulary(params.generate.seeds, params.generate.attributes, params.labels.names)

    def embedded(texts: list[str]) -> Embeddings:
        return embed(texts, MODELS / "embedder", params.embed)

    originals = [*reviews["text"], *gold["text"], *vocabulary.seeds["text"]]
    earlier = [text for frame in before for text in frame["text"]]
    known = Known(originals, earlier, embedded([*originals, *earlier]))
    in_train = labelled["split"] == "train"
    train = labelled[in_train].reset_index(drop=True)
    real = read_embeddings(ANALYSE, labelled["id"].to_list())[in_train]
    wanted = step_wanted(read_table(ANALYSE / "plan.csv"))
    requests = step_requests(name, params, wanted, vocabulary, train, real, before[-1] if before else None, embedded)
    generation = writer(params, embedded).write(name, step, wanted, requests, known)
    # A step that had nothing to ask for lacks the columns of filters and teacher.
    candidates = generation.candidates.reindex(columns=COLUMNS)
    accepted = candidates[candidates["reason"] == ""].drop(columns="reason")
    rejected = candidates.loc[candidates["reason"] != "", ["reason", "intended", "teacher_label", "text"]]
    measures = measure_step(candidates, generation.embeddings, train, real, params.labels.names, params.seed)
    shortfall = generation.shortfall(wanted)
    folder = SYNTHETIC / name
    write_table(folder / "written.parquet", accepted)
    write_table(folder / "accepted.parquet", pd.concat([*before, accepted], ignore_index=True))
    write_table(folder / "rejected.csv", escape_formulas(rejected))
    write_table(folder / "measures.csv", as_table(measures))
    summary = {
        "candidates": count_reasons(candidates["reason"].to_list()),
        "accepted_share": round(len(accepted) / len(candidates), 4) if len(candidates) else None,
        "shortfall": shortfall,
        "measures": measures["all"],
    }
    write_json(METRICS / f"generate_{name}.json", summary)
    for label, missing in shortfall.items():
        logger.warning("%s: %r fell %d rows short; raise generate.%s.candidates for more", name, label, missing, name)


def writer(params: Params, embedded: Callable[[list[str]], Embeddings]) -> Writer:
    """The generator and the teacher; one engine serves both where they are the same model."""
    generator = open_backend(params.label.backend, MODELS / "generator", params.vllm)
    reader = open_backend(params.label.backend, MODELS / "teacher", params.vllm)
    reader = generator if reader.identity == generator.identity else reader
    teacher = Teacher(CachedModel(reader), params.labels.names, params.prompt, params.label)
    prior = np.array(read_json(LABEL / "prior.json")["prior"])
    return Writer(CachedModel(generator), teacher, prior, embedded, params.generate, params.seed)


if __name__ == "__main__":
    run_stage(main)
