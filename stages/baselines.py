"""Stage `baselines`: what simpler classifiers reach on the checked reviews, by the teacher's labels or none."""

from __future__ import annotations

from stages.common.arrays import FloatArray, label_indices
from stages.common.gold import scored_rows
from stages.common.labels import Labels
from stages.common.texts import text_id
from stages.curation.config import Curate
from stages.curation.written import fit_second_opinion
from stages.embedding.stored import read_embeddings
from stages.running.config import load, section
from stages.running.errors import run_stage
from stages.running.io import DATA, METRICS, read_table, write_table
from stages.scoring import baselines
from stages.scoring.config import Evaluate
from stages.scoring.evaluation import Answers, Evaluation
from stages.scoring.records import as_table
from stages.scoring.scores import Score, scores
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary


@section
class Params:
    """What this stage reads of params.yaml."""

    seed: int
    labels: Labels
    vocabulary: VocabularyFiles
    curate: Curate
    evaluate: Evaluate


def main() -> None:
    """Read labels, embeddings and gold; write `metrics/baselines.csv` (without rows where nothing was checked)."""
    params = load(Params)
    names = params.labels.names
    rows = scored_rows(DATA, names)
    found: list[Score] = []
    if not rows.empty:
        answers = {who: Answers.of(given) for who, given in distributions(params, rows["text"].to_list()).items()}
        found = scores(Evaluation(rows, answers, names, params.evaluate, params.seed))
    write_table(METRICS / "baselines.csv", as_table(found, Score))


def distributions(params: Params, texts: list[str]) -> dict[str, FloatArray]:
    """What each baseline says of `texts`; those that learn from reviews do so from the teacher's labels."""
    names = params.labels.names
    train = read_table(DATA / "label/labels.parquet").query("split == 'train'")
    labels = label_indices(train["label"], names)
    train_vectors, vectors, name_vectors = (
        read_embeddings(DATA / "embed", [text_id(text) for text in part]) for part in (train["text"], texts, names)
    )
    vocabulary = read_vocabulary(params.vocabulary, names)
    opinion = fit_second_opinion(vocabulary, names, params.curate.regularisation)
    return {
        "majority": baselines.majority(labels, len(texts), len(names)),
        "nearest_name": baselines.nearest_name(vectors, name_vectors),
        "tfidf_regression": baselines.tfidf_regression(train["text"].to_list(), labels, texts, len(names)),
        "embedding_regression": baselines.embedding_regression(train_vectors, labels, vectors, len(names)),
        "second_opinion": opinion.distributions(vectors),
    }


if __name__ == "__main__":
    run_stage(main)
