"""Stage `generate`: one step of the synthesis, `python -m stages.generate base|paraphrase|style`."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pandas as pd

from stages.analysis.embeddings import embed, read_embeddings, write_embeddings
from stages.common.config import Params, load
from stages.common.errors import ConfigError, run_stage
from stages.common.io import read_json, read_table, write_json, write_table
from stages.common.schema import (
    ANALYSE,
    CURATE,
    EMBED,
    INGEST,
    LABEL,
    METRICS,
    MODELS,
    SYNTHETIC,
    SYNTHETIC_STEPS,
    text_id,
)
from stages.common.spreadsheet import escape_formulas
from stages.common.templates import load_template
from stages.common.vocabulary import read_vocabulary
from stages.curation.written import fit_on_vocabulary
from stages.labelling.teacher import Teacher
from stages.llm.backend import open_backend
from stages.llm.cache import CachedModel
from stages.synthesis.filters import Known, count_reasons
from stages.synthesis.generation import Writer
from stages.synthesis.measures import as_table, measure_step
from stages.synthesis.steps import Written, step_requests, step_wanted
from stages.synthesis.words import words

logger = logging.getLogger(__name__)


def main() -> None:
    """Read labels, plan and the step before; write `data/synthetic/<step>/` and `metrics/generate_<step>.json`."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in SYNTHETIC_STEPS:
        raise ConfigError(f"step {name!r} does not exist; give one of {', '.join(SYNTHETIC_STEPS)}")
    params = load()
    step = getattr(params.generate, name)
    template = load_template(step.template)
    vocabulary = read_vocabulary(params.generate.seeds, params.generate.attributes, params.labels.names)
    labelled = read_table(CURATE / "labels.parquet")
    in_train = labelled["split"] == "train"
    train = labelled[in_train].reset_index(drop=True)
    real = read_embeddings(EMBED, train["id"].to_list())
    reviews, gold = read_table(INGEST / "reviews.parquet"), read_table(INGEST / "gold.parquet")
    originals = [*reviews["text"], *gold["text"], *vocabulary.seeds["text"]]
    vectors = read_embeddings(EMBED, [text_id(text) for text in originals])
    earlier = earlier_steps(name)
    if earlier is not None:
        vectors = np.concatenate([vectors, earlier.embeddings])
    given = [text for listed in vocabulary.products.values() for item in listed.items() for text in (item[0], *item[1])]
    known = Known(
        originals=originals,
        synthetic=[] if earlier is None else earlier.rows["text"].to_list(),
        embeddings=vectors,
        words={word for text in [*originals, *given] for word in words(text)},
        shown=template.shown_texts(),
    )

    wanted = step_wanted(read_table(ANALYSE / "plan.csv"))
    requests = step_requests(name, params, template, wanted, vocabulary, train, real, earlier)
    generation = writer(params, vocabulary.seeds).write(name, step, wanted, requests, known)
    candidates = generation.candidates
    fresh = (candidates["reason"] == "").to_numpy()
    accepted = candidates[fresh].drop(columns="reason")
    rejected = candidates.loc[~fresh, ["reason", "intended", "read_as", "mean_logprob", "text"]]
    measures = measure_step(candidates, generation.embeddings, train, real, params.labels.names, params.seed)
    shortfall = generation.shortfall(wanted)
    folder = SYNTHETIC / name
    written = Written(accepted, generation.embeddings[fresh])
    so_far = written if earlier is None else earlier.joined(written)
    write_table(folder / "written.parquet", accepted)
    write_table(folder / "accepted.parquet", so_far.rows)
    write_embeddings(folder, so_far.rows["id"].to_list(), so_far.embeddings)
    write_table(folder / "rejected.csv", escape_formulas(rejected))
    write_table(folder / "measures.csv", as_table(measures))
    summary = {
        "candidates": count_reasons(candidates["reason"].to_list()),
        "accepted_share": round(float(fresh.mean()), 4) if len(candidates) else None,
        "shortfall": shortfall,
        "measures": measures["all"],
    }
    write_json(METRICS / f"generate_{name}.json", summary)
    # Without a budget nothing was meant to be written.
    for label, missing in shortfall.items() if step.candidates else ():
        logger.warning("%s: %r fell %d rows short; raise generate.%s.candidates for more", name, label, missing, name)


def earlier_steps(name: str) -> Written | None:
    """All that the steps before `name` wrote; None before the first."""
    if name == SYNTHETIC_STEPS[0]:
        return None
    folder = SYNTHETIC / SYNTHETIC_STEPS[SYNTHETIC_STEPS.index(name) - 1]
    rows = read_table(folder / "accepted.parquet")
    return Written(rows, read_embeddings(folder, rows["id"].to_list()))


def writer(params: Params, seeds: pd.DataFrame) -> Writer:
    """The generator and those who read it, `seeds` at hand for the teacher's prompt.

    One engine serves generator and teacher where they are the same model.
    """
    generator = open_backend(params.generate.backend, MODELS / "generator", params.vllm)
    reader = open_backend(params.label.backend, MODELS / "teacher", params.vllm)
    reader = generator if reader.identity == generator.identity else reader
    return Writer(
        generator=CachedModel(generator),
        teacher=Teacher(CachedModel(reader), params.labels.names, params.prompt, params.label, seeds),
        prior=np.array(read_json(LABEL / "prior.json")["prior"]),
        opinion=None if params.curate.policy == "none" else fit_on_vocabulary(params),
        teacher_weight=params.curate.teacher_weight,
        embed=lambda texts: embed(texts, MODELS / "embedder", params.embed),
        settings=params.generate,
        seed=params.seed,
    )


if __name__ == "__main__":
    run_stage(main)
