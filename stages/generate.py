"""Stage `generate`: the steps of the synthesis, each of which tells again what the one before it wrote."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace

import numpy as np
import pandas as pd

from stages.cluster.config import Execute
from stages.cluster.executor import open_model
from stages.common.labels import Labels
from stages.common.provenances import SYNTHETIC_STEPS
from stages.common.templates import PromptTemplate, load_template
from stages.common.texts import text_id
from stages.curation.config import Curate
from stages.curation.written import fit_second_opinion
from stages.embedding.config import Embed
from stages.embedding.embedder import Embedder
from stages.embedding.stored import read_embeddings, write_embeddings
from stages.labelling.config import Label, Prompt
from stages.labelling.teacher import Teacher
from stages.llm.cache import CachedModel
from stages.llm.config import Vllm
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, read_json, read_table, write_json, write_table
from stages.synthesis.config import Generate, Step
from stages.synthesis.filters import Known
from stages.synthesis.generation import Writer
from stages.synthesis.injection import injection
from stages.synthesis.patterns import read_patterns
from stages.synthesis.plan import shortfall, step_wanted
from stages.synthesis.steps import Material, Written, step_requests
from stages.synthesis.words import words
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    labels: Labels
    vocabulary: VocabularyFiles
    vllm: Vllm
    execute: Execute
    prompt: Prompt
    label: Label
    embed: Embed
    curate: Curate
    generate: Generate


def main() -> None:
    """Read labels and plan; write `data/synthetic/<step>/` for each step."""
    params = load(Params)
    material = read_material(params)
    # One for all steps: an engine takes half a minute to start.
    shared = writer(params, material)
    for name in SYNTHETIC_STEPS:
        material = replace(material, earlier=write_step(name, params, shared, material))
    spent = {"generator": asdict(shared.generator.spent)}
    if shared.teacher is not None:
        spent["teacher"] = asdict(shared.teacher.model.spent)
    write_json(DATA / "synthetic/spent.json", spent)


def write_step(name: str, params: Params, shared: Writer, material: Material) -> Written:
    """Write, filter and store what one step adds; all that was written so far."""
    step: Step = getattr(params.generate, name)
    template = load_template(step.template, shared.generator.backend.neutralise)
    wanted = step_wanted(read_table(DATA / "analyse/plan.csv"))
    requests = step_requests(name, step, template, material, wanted, params.labels.names, params.seed)
    generation = shared.write(name, step, wanted, requests, known_texts(material, template))

    folder = DATA / "synthetic" / name
    write_table(folder / "candidates.parquet", generation.candidates)
    written = generation.written()
    so_far = written if material.earlier is None else material.earlier.joined(written)
    write_table(folder / "accepted.parquet", so_far.rows)
    write_embeddings(folder, so_far.rows["id"].to_list(), so_far.embeddings)
    # Without a budget nothing was meant to be written.
    for label, missing in shortfall(generation.candidates, wanted).items() if step.candidates else ():
        logger.warning("%s: %r fell %d rows short; raise generate.%s.candidates for more", name, label, missing, name)
    return so_far


def read_material(params: Params) -> Material:
    """What the first step writes from: the written vocabulary and the real train rows that give a model no orders."""
    vocabulary = read_vocabulary(params.vocabulary, params.labels.names)
    labelled = read_table(DATA / "curate/labels.parquet")
    train = labelled[labelled["split"] == "train"]
    orders = injection(train["text"].to_list(), read_patterns(params.generate.filters.injection), params.labels.names)
    train = train[~orders].reset_index(drop=True)
    logger.info("%d real reviews give orders to a model, and are not shown to the generator", orders.sum())
    real = read_embeddings(DATA / "embed", train["id"].to_list())
    return Material(vocabulary, train, real, earlier=None)


def known_texts(material: Material, template: PromptTemplate) -> Known:
    """What no candidate may repeat: reviews of every split, checked ones, seeds, earlier steps, the prompt's own."""
    tables = [
        read_table(DATA / "ingest/reviews.parquet"),
        read_table(DATA / "ingest/gold.parquet"),
        material.vocabulary.seeds,
    ]
    originals = pd.concat([table["text"] for table in tables]).to_list()
    embeddings = read_embeddings(DATA / "embed", [text_id(text) for text in originals])
    earlier = material.earlier
    return Known(
        originals=originals,
        synthetic=[] if earlier is None else earlier.rows["text"].to_list(),
        embeddings=embeddings if earlier is None else np.concatenate([embeddings, earlier.embeddings]),
        words={word for text in [*originals, *material.facts()] for word in words(text)},
        shown=template.shown_texts(),
        labels=list(material.vocabulary.products),
    )


def writer(params: Params, material: Material) -> Writer:
    """The generator and those who read it.

    One engine serves generator and teacher where they are the same model.
    """
    names, seeds = params.labels.names, material.vocabulary.seeds
    generator = open_model(params.generate.backend, DATA / "models/generator", params.vllm, params.execute)
    opinion, teacher = None, None
    if params.curate.policy != "none":
        opinion = fit_second_opinion(material.vocabulary, names, params.curate.regularisation)
    if params.generate.filters.readers == "both":
        reader = open_model(params.label.backend, DATA / "models/teacher", params.vllm, params.execute)
        reader = generator if reader.identity == generator.identity else reader
        teacher = Teacher(CachedModel(reader), names, params.prompt, params.label, seeds)
    return Writer(
        labels=names,
        generator=CachedModel(generator),
        teacher=teacher,
        prior=np.array(read_json(DATA / "label/prior.json")["prior"]),
        opinion=opinion,
        teacher_weight=params.curate.teacher_weight,
        embed=Embedder(DATA / "models/embedder", params.embed).embed,
        settings=params.generate,
        seed=params.seed,
    )


if __name__ == "__main__":
    run_stage(main, "What was answered so far is stored; the same command goes on from there.")
