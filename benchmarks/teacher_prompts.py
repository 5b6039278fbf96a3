"""Every labelling prompt on the same human-checked reviews, with and without the calibration of its label prior.

    python -m benchmarks.teacher_prompts data/raw/sample/gold.csv my/checked.csv

For the teacher of `params.yaml`, whose weights `dvc repro models` has fetched. A file has the columns text and label;
of one with a column stratum only the random rows are taken. `--prompts` names options of `conf/prompt/`, each with
settings of `label` after a colon if wanted (`product:orders=3`). Answers are stored as those of a run are, so that an
interrupted table goes on where it was. Prints a table for each file: weighted and macro F1 with bootstrap intervals,
and the expected calibration error, before and after calibration; `--reliability` names a picture of the diagrams.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from benchmarks.score_checked import checked_rows, random_rows
from stages.common.arrays import FloatArray
from stages.composition.params import Params, load_all
from stages.ingestion.cleaning import clean
from stages.labelling.calibration import batch_prior, calibrate, contextual_prior
from stages.labelling.config import Prompt
from stages.labelling.teacher import Teacher, given_choices
from stages.llm.backend import Refusal, open_backend
from stages.llm.cache import CachedModel
from stages.running.errors import BackendError
from stages.running.io import DATA
from stages.scoring.evaluation import Answers, Evaluation
from stages.scoring.scores import Score, scores
from stages.scoring.tables import reliability
from stages.vocabulary.vocabulary import read_seeds

# What is divided out, at which strength (`label.calibration`, `label.calibration_strength`).
CALIBRATIONS = (("none", 0.0), ("contextual", 0.5), ("contextual", 1.0), ("batch", 0.5), ("batch", 1.0))
FEWEST = 8


def main() -> None:
    """Ask the teacher with every prompt; print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--prompts", nargs="+", default=["strict", "definitions", "fewshot", "fewshot_knn", "product"])
    parser.add_argument("--reliability", type=Path, help="draw reliability diagrams here (PNG, PDF, SVG)")
    arguments = parser.parse_args()
    params = load_all()
    model = CachedModel(open_backend(params.label.backend, DATA / "models/teacher", params.vllm))
    diagrams = []
    for file in arguments.files:
        rows = random_rows(checked_rows(file, params.labels.names))
        print(f"\n{file.name}, {len(rows)} rows\n")
        print("| prompt | calibration | weighted F1 | macro F1 | ECE |\n|---|---|---|---|---|", flush=True)
        for name in arguments.prompts:
            teacher = make_teacher(name, model, params)
            raw = distributions(teacher, [clean(text) for text in rows["text"]], f"{file.stem} {name}")
            content_free = distributions(teacher, teacher.label.content_free, "content-free")
            priors = {
                "none": np.ones(len(teacher.labels)),
                "contextual": contextual_prior(content_free),
                "batch": batch_prior(raw),
            }
            answers = {
                calibration if calibration == "none" else f"{calibration}, {strength}": Answers.of(
                    calibrate(raw, priors[calibration], strength)
                )
                for calibration, strength in CALIBRATIONS
            }
            evaluation = Evaluation(rows, answers, params.labels.names, params.evaluate, params.seed)
            for score in (found for found in scores(evaluation) if found.subset == "all"):
                print(f"| {name} | {score.who} | {cells(score)} |", flush=True)
                given = answers[score.who]
                right = given.predicted == evaluation.actual
                diagram = reliability(given.probabilities.max(axis=1), right)
                diagrams.append(diagram.assign(file=file.name, prompt=name, calibration=score.who))
    if arguments.reliability:
        draw(pd.concat(diagrams), arguments.reliability)


def draw(diagrams: pd.DataFrame, picture: Path) -> None:
    """A panel for each file (row) and prompt (column), a line for each calibration, a dot's area by its rows.

    Bins of fewer than `FEWEST` rows are left out: what they show is chance.
    """
    diagrams = diagrams[diagrams["rows"] >= FEWEST]
    files, prompts = diagrams["file"].unique(), diagrams["prompt"].unique()
    size = (2.6 * len(prompts), 2.8 * len(files))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(files), len(prompts), sharex=True, sharey=True, squeeze=False)
    for (file, prompt), part in diagrams.groupby(["file", "prompt"], sort=False):
        panel = panels[list(files).index(file), list(prompts).index(prompt)]
        panel.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
        for calibration, line in part.groupby("calibration", sort=False):
            (drawn,) = panel.plot(line["confidence"], line["accuracy"], linewidth=1, label=calibration)
            panel.scatter(line["confidence"], line["accuracy"], s=line["rows"], color=drawn.get_color(), alpha=0.6)
        panel.set(title=f"{prompt}, {file}", xlabel="confidence", ylabel="share right")
        panel.title.set_fontsize(8)
        panel.label_outer()
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(CALIBRATIONS))
    figure.savefig(picture, dpi=90)


def distributions(teacher: Teacher, texts: list[str], description: str) -> FloatArray:
    """What the teacher answers, uncalibrated, shape (texts, labels); a measurement leaves no text out.

    Raises:
        BackendError: the model refuses a text.
    """
    choices = teacher.choices(texts, description)
    for text, choice in zip(texts, choices, strict=True):
        if isinstance(choice, Refusal):
            raise BackendError(f"{text[:60]!r} got no answer: {choice.reason}")
    return teacher.distributions(given_choices(choices))


def make_teacher(name: str, model: CachedModel, params: Params) -> Teacher:
    """The teacher with the prompt `conf/prompt/<name>.yaml`, and settings of `label` after a colon."""
    option, _, settings = name.partition(":")
    label = dataclasses.replace(params.label, **OmegaConf.to_container(OmegaConf.from_dotlist(settings.split())))
    return Teacher(
        model, params.labels.names, read_prompt(option), label, read_seeds(params.vocabulary.seeds, params.labels.names)
    )


def read_prompt(option: str) -> Prompt:
    """The prompt `conf/prompt/<option>.yaml`."""
    return Prompt(**OmegaConf.to_container(OmegaConf.load(f"conf/prompt/{option}.yaml")))  # type: ignore[misc]


def cells(score: Score) -> str:
    """Weighted F1, macro F1 and expected calibration error, as cells of a Markdown table."""
    return (
        f"{score.weighted_f1:.3f} [{score.weighted_f1_low:.3f}, {score.weighted_f1_high:.3f}] | "
        f"{score.macro_f1:.3f} [{score.macro_f1_low:.3f}, {score.macro_f1_high:.3f}] | {score.ece:.2f}"
    )


if __name__ == "__main__":
    main()
