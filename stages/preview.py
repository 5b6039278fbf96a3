"""What becomes of a few reviews, and what all would cost, before a long run: `make preview N=20`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from stages.cluster.executor import open_model
from stages.common.arrays import probability_matrix
from stages.common.provenances import SYNTHETIC_STEPS
from stages.composition.overrides import split
from stages.composition.params import Params, load_all
from stages.composition.small import write_drawn
from stages.composition.workspace import arguments, make_workspace, whole
from stages.labelling.prompting import Prompter
from stages.llm.spending import Spent
from stages.previewing.cost import asked, estimate, in_words
from stages.previewing.page import page, review_table, table
from stages.previewing.rows import review_rows, written_counts, written_rows
from stages.running.config import PARAMS, read, require
from stages.running.errors import run_stage
from stages.running.io import DATA, atomic_path, read_json, read_table, write_json
from stages.running.record import RECORD
from stages.synthesis.plan import imbalance_plan
from stages.vocabulary.vocabulary import read_vocabulary

WORKSPACE = Path(".preview")
# In the folder of what was drawn: the configuration of the whole run, and how much there is of everything.
WHOLE, PILE = "whole.yaml", "pile.json"
GIVEN = Path("given")
PAGE = Path("preview.html")
# Fewer cannot be cut into splits.
FEWEST = 4


def main() -> None:
    """Prepare the folder, or, with `--tell` and inside of it, say what came of it."""
    parser = arguments(WORKSPACE)
    parser.add_argument("--number", type=int, default=20, help="so many reviews")
    given = parser.parse_args()
    if given.tell:
        tell()
    else:
        prepare(split(given.line), given.number)


def prepare(overrides: list[str], number: int) -> None:
    """Write what `dvc repro generate` needs into the folder, and leave there what it has made before.

    Raises:
        ConfigError, DataError: the whole configuration would stop at something, or the number is too small.
    """
    require(number >= FEWEST, f"N={number} reviews cannot be cut into splits; preview {FEWEST} or more")
    params, settings = whole(overrides)
    given = WORKSPACE / GIVEN
    with atomic_path(given / WHOLE) as temporary:
        temporary.write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False), encoding="utf-8")
    drawn, pile = write_drawn(params, given, number)
    write_json(given / PILE, {"path": params.data.path, **asdict(pile)})
    settings["data"] |= drawn
    before = read(WORKSPACE / PARAMS) if (WORKSPACE / PARAMS).is_file() else {}
    make_workspace(WORKSPACE, settings, "preview.yaml")
    if any(before.get(name) != section for name, section in read(WORKSPACE / PARAMS).items() if name != "data"):
        # What other models or prompts took says nothing of these.
        (WORKSPACE / RECORD).unlink(missing_ok=True)
    names = ", ".join(f"{role} {params.models[role].name}" for role in ("teacher", "generator", "embedder"))
    print(
        f"In {WORKSPACE}/, {number} of {pile.reviews:,} usable reviews of {params.data.path}, with {names}", flush=True
    )


def tell() -> None:
    """Print reviews, what was written and what all would cost, and write the page with all of it."""
    params, of_all, pile = load_all(), load_all(GIVEN / WHOLE), read_json(GIVEN / PILE)
    curated = read_table(DATA / "curate/labels.parquet")
    opinion = None if params.curate.policy == "none" else probability_matrix(curated, "second_opinion")
    reviews = review_rows(curated, read_table(DATA / "label/quarantine.csv"), opinion, params.labels.names)
    candidates = pd.concat([read_table(DATA / f"synthetic/{step}/candidates.parquet") for step in SYNTHETIC_STEPS])
    counts = written_counts(candidates, SYNTHETIC_STEPS)
    costs, how = cost_of_all(params, of_all, pile, curated, len(reviews))
    given = {
        "pile": pile,
        "models": {role: model.name for role, model in params.models.items()},
        "second": params.curate.policy != "none",
        "reviews": reviews,
        "written": written_rows(candidates),
        "counts": counts,
        "steps": SYNTHETIC_STEPS,
        "costs": costs,
        "how": how,
        "prompts": prompts(params, reviews[0]["text"], candidates),
    }
    with atomic_path(PAGE) as temporary:
        temporary.write_text(page(given), encoding="utf-8")
    print(f"\n{review_table(reviews)}\n  * not what the teacher said\n")
    print(f"written, accepted of candidates\n{table(pd.DataFrame(counts))}\n")
    print(f"what all {pile['reviews']:,} reviews would take\n{table(pd.DataFrame(costs))}\n")
    print("\n".join(how))
    print(f"\nThe whole texts and the prompts: {WORKSPACE / PAGE}")


def prompts(params: Params, review: str, candidates: pd.DataFrame) -> dict[str, str]:
    """By what they are for: the teacher's prompt with `review`, and the first of each step that wrote."""
    teacher = open_model(params.label.backend, DATA / "models/teacher", params.vllm, params.execute)
    seeds = read_vocabulary(params.vocabulary, params.labels.names).seeds
    shown = {"for a category": Prompter(params.prompt, teacher, seeds).render([review], params.labels.names)[0]}
    for step in SYNTHETIC_STEPS:
        of_step = candidates[candidates["provenance"] == step]
        if len(of_step):
            shown[f"to write, step {step}"] = of_step["prompt"].iloc[0]
    return shown


def cost_of_all(
    params: Params, of_all: Params, pile: Mapping[str, Any], curated: pd.DataFrame, shown: int
) -> tuple[list[dict[str, str]], list[str]]:
    """What labelling and writing would take for the pile that the preview was drawn from; and how that was computed."""
    servers = {role: model.server for role, model in params.models.items()}
    once = len(params.label.content_free) * params.label.orders if params.label.calibration == "contextual" else 0
    labelled = pile["reviews"] + pile["checked"]
    train = curated.loc[curated["split"] == "train", "label"]
    expected = train.repeat(max(1, round(pile["train"] / max(1, len(train)))))
    due, written = (
        int(imbalance_plan(labels, params.labels.names, plan)["to_generate"].sum())
        for labels, plan in ((expected, of_all.plan), (train, params.plan))
    )
    estimates = pd.concat(
        [
            estimate("label", asked("label", _spent("label")), labelled / shown, once, servers),
            estimate("generate", asked("generate", _spent("synthetic")), due / written if written else 0, 0, servers),
        ]
    )
    how = [
        f"label: what a question took here, times {labelled:,} reviews, {pile['checked']:,} checked ones among them; "
        f"{once} questions without content are asked once.",
        f"generate: what a question took here, for {due} rows instead of {written}, if the categories of all are those "
        f"of these {len(train)} train reviews; this is rough.",
        "Times are those of the models alone, as they ran just now; embedding, training and measuring come to it "
        "(`make doctor` tells a whole run). What is answered here is known to the whole run.",
    ]
    if estimates["seconds"].isna().any():
        how.append("Not measured: every answer was known from before, and nothing was asked that could be timed.")
    return in_words(estimates), how


def _spent(folder: str) -> dict[str, Spent]:
    return {role: Spent(**counts) for role, counts in read_json(DATA / folder / "spent.json").items()}


if __name__ == "__main__":
    run_stage(main)
