"""How many labels another kind of processor changes: the reviews of the last run, asked anew as this one computes.

    gcc -O2 -shared -fPIC -o as_avx2.so benchmarks/as_avx2.c
    LD_PRELOAD=$PWD/as_avx2.so python -m benchmarks.another_processor

After `make repro`. No stored answer is used, and none is stored: what differs from `data/label/` is what the processor
did, its instructions and the type of numbers that the engine chose by them. Without LD_PRELOAD it is the same processor
again, and shows what the order of questions does. Embeddings are those of the last run in both.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.side_by_side import table
from stages.common.arrays import label_indices, probability_matrix
from stages.composition.params import Params, load_all
from stages.curate import curated
from stages.curation.second_opinion import SecondOpinion
from stages.curation.written import fit_second_opinion
from stages.hardware.machine import cpu_model
from stages.labelling.teacher import Teacher
from stages.llm.backend import open_backend
from stages.llm.cache import CachedModel, ResponseCache
from stages.running.io import DATA, read_json, read_table, write_json
from stages.running.peak import engine_dtype
from stages.scoring.metrics import confusion_matrix, score
from stages.vocabulary.vocabulary import read_vocabulary


def main() -> None:
    """Print a table and write `benchmarks/another_processor.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/another_processor.json"))
    output: Path = parser.parse_args().output
    params = load_all()
    names = params.labels.names
    vocabulary = read_vocabulary(params.vocabulary, names)
    opinion = fit_second_opinion(vocabulary, names, params.curate.regularisation)
    truth = read_table(DATA / "ingest/gold.parquet").set_index("id")["label"]
    prior = np.array(read_json(DATA / "label/prior.json")["prior"])
    with TemporaryDirectory() as folder:
        model = CachedModel(
            open_backend(params.label.backend, DATA / "models/teacher", params.vllm),
            ResponseCache(Path(folder) / "responses.sqlite"),
        )
        teacher = Teacher(model, names, params.prompt, params.label, vocabulary.seeds)
        rows = [
            compared(name, before, teacher, prior, opinion, params, truth)
            for name, before in {
                "reviews": read_table(DATA / "label/labels.parquet"),
                "gold reviews": read_table(DATA / "label/gold.parquet").drop_duplicates("id"),
            }.items()
        ]
    dtype = engine_dtype(params.vllm.dtype)
    print(f"the last run's labels against those of {cpu_model()} in {dtype}\n")
    print(table(list(rows[0]), [[str(value) for value in row.values()] for row in rows]))
    write_json(output, {"dtype": dtype, "teacher": params.models["teacher"].name, "results": rows})


def compared(
    name: str,
    before: pd.DataFrame,
    teacher: Teacher,
    prior: np.ndarray,
    opinion: SecondOpinion,
    params: Params,
    truth: pd.Series,
) -> dict[str, object]:
    """One row of the table: how many labels differ, before and after curation, and what that does to F1 on gold."""
    texts = pd.concat([read_table(DATA / f"ingest/{table}.parquet")[["id", "text"]] for table in ("reviews", "gold")])
    asked = before[["id"]].merge(texts.drop_duplicates("id"), on="id")
    after, _ = teacher.label_reviews(asked, prior, explain=False)
    moved = np.abs(probability_matrix(before) - probability_matrix(after)).max(axis=1)
    curated_before, curated_after = (
        curated(frame.drop(columns="text", errors="ignore"), opinion, params.labels.names, params.curate)
        for frame in (before, after)
    )
    scored = before["id"].isin(truth.index)

    def macro_f1(frame: pd.DataFrame) -> float | None:
        if not scored.all():
            return None
        actual, given = (
            label_indices(labels, params.labels.names) for labels in (truth.loc[frame["id"]], frame["label"])
        )
        return round(float(score(confusion_matrix(actual, given, len(params.labels.names))).macro_f1), 4)

    return {
        "rows": name,
        "number": len(before),
        "teacher's labels that differ": int((before["label"].to_numpy() != after["label"].to_numpy()).sum()),
        "labels that differ after curation": int(
            (curated_before["label"].to_numpy() != curated_after["label"].to_numpy()).sum()
        ),
        "probability moved by, median": round(float(np.median(moved)), 4),
        "at most": round(float(moved.max()), 4),
        "macro F1 on gold": [macro_f1(frame) for frame in (before, after)],
        "after curation": [macro_f1(frame) for frame in (curated_before, curated_after)],
    }


if __name__ == "__main__":
    main()
