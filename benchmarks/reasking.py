"""What asking the teacher again is worth: the gold rows whose label looks wrong, with clean rows as demonstrations.

    python -m benchmarks.reasking

After `make repro`. The loop of FreeAL (Xiao et al. 2023, arXiv 2311.15614): `curate` flags the likely errors, the
train rows on which teacher and second opinion agree join the written seeds, and the prompt `fewshot_knn` shows those
that are most like the review in question. Prints how many of the flagged gold rows are right before and after, by
the new answer alone and pooled with the second opinion at several weights of the teacher.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.teacher_prompts import distributions, read_prompt
from stages.common.arrays import FloatArray, label_indices
from stages.composition.params import load_all
from stages.curation.second_opinion import combine
from stages.curation.written import fit_second_opinion
from stages.embedding.stored import read_embeddings
from stages.labelling.teacher import Teacher
from stages.llm.backend import open_backend
from stages.llm.cache import CachedModel
from stages.running.io import DATA, read_table
from stages.vocabulary.vocabulary import read_vocabulary

# The surest clean rows of a category that serve as demonstrations; the frequent ones would crowd out the rest.
CLEANEST = 20
WEIGHTS = (0.1, 0.3, 0.5, 1.0)


def main() -> None:
    """Ask again with and without clean rows; print a table."""
    params = load_all()
    names = params.labels.names
    columns = ["text", "label"]
    train = read_table(DATA / "curate/labels.parquet").query("split == 'train'")
    clean = train[(train["teacher_label"] == train["label"]) & ~train["likely_error"]]
    cleanest = clean.sort_values("confidence", ascending=False).groupby("label").head(CLEANEST)[columns]
    vocabulary = read_vocabulary(params.vocabulary, names)
    seeds = vocabulary.seeds[columns]

    gold = read_table(DATA / "curate/gold.parquet").merge(
        read_table(DATA / "ingest/gold.parquet")[["id", *columns]], on="id", suffixes=("", "_true")
    )
    flagged = gold[gold["likely_error"]]
    truth = label_indices(flagged["label_true"], names)
    second = fit_second_opinion(vocabulary, names, params.curate.regularisation)
    opinion = second.distributions(read_embeddings(DATA / "embed", flagged["id"].to_list()))

    def right(distributions: FloatArray) -> str:
        return f"{np.mean(distributions.argmax(axis=1) == truth):.3f}"

    before = {
        who: np.eye(len(names))[label_indices(flagged[column], names)]
        for who, column in {"teacher": "teacher_label", "curated": "label"}.items()
    }
    print(f"{len(flagged)} of {len(gold)} gold rows flagged\n")
    print(f"| | alone | {' | '.join(f'pooled, {weight}' for weight in WEIGHTS)} |\n|---|---|{'---|' * len(WEIGHTS)}")
    blank = " | " * len(WEIGHTS)
    for who, answers in {**before, "second opinion": opinion}.items():
        print(f"| {who} | {right(answers)} {blank}|", flush=True)

    model = CachedModel(open_backend(params.label.backend, DATA / "models/teacher", params.vllm))
    prompt = read_prompt("fewshot_knn")
    for shown, pool in {
        "seeds and clean rows": pd.concat([seeds, cleanest], ignore_index=True),
        "seeds": seeds,
    }.items():
        teacher = Teacher(model, names, prompt, params.label, pool)
        again = distributions(teacher, flagged["text"].to_list(), shown)
        pooled = [right(combine(again, opinion, weight)) for weight in WEIGHTS]
        print(f"| asked again, shown {shown} | {right(again)} | {' | '.join(pooled)} |", flush=True)


if __name__ == "__main__":
    main()
