"""Stage `baselines`: what simpler classifiers reach on the human-checked reviews, trained on the same train rows."""

from __future__ import annotations

from stages.analysis.embeddings import read_embeddings
from stages.common.config import Params, load
from stages.common.errors import run_stage
from stages.common.io import read_table, write_json
from stages.common.schema import EMBED, INGEST, LABEL, METRICS, FloatArray, text_id
from stages.curation.written import fit_on_vocabulary
from stages.modelling import baselines, report
from stages.modelling.gold import labelled_gold


def main() -> None:
    """Read labels, embeddings and gold; write `metrics/baselines.json` (empty where nothing was checked)."""
    params = load()
    names = params.labels.names
    rows = labelled_gold(INGEST / "gold.parquet", names)
    if rows.empty:
        write_json(METRICS / "baselines.json", {})
        return
    answers = {who: report.Answers.of(given) for who, given in distributions(params, rows["text"].to_list()).items()}
    evaluation = report.Evaluation(rows, answers, names, params.evaluate, params.seed)
    write_json(METRICS / "baselines.json", report.headline(evaluation))


def distributions(params: Params, texts: list[str]) -> dict[str, FloatArray]:
    """What each baseline says of `texts`; those that learn from reviews do so from the teacher's labels."""
    names = params.labels.names
    train = read_table(LABEL / "labels.parquet").query("split == 'train'")
    labels = report.label_indices(train["label"], names)
    train_vectors, vectors, name_vectors = (
        read_embeddings(EMBED, [text_id(text) for text in part]) for part in (train["text"], texts, names)
    )
    return {
        "majority": baselines.majority(labels, len(texts), len(names)),
        "nearest_name": baselines.nearest_name(vectors, name_vectors),
        "tfidf_regression": baselines.tfidf_regression(train["text"].to_list(), labels, texts, len(names)),
        "embedding_regression": baselines.embedding_regression(train_vectors, labels, vectors, len(names)),
        "second_opinion": fit_on_vocabulary(params).distributions(vectors),
    }


if __name__ == "__main__":
    run_stage(main)
