"""Classification side by side: the student as this project runs it, and as people run such a folder.

    python -m benchmarks.classification

After `make repro`. The same student in fp32 and in int8, whichever of them stage `export` chose; by
`transformers.pipeline`, on a list as it is called by itself and with batches; and its encoder through
sentence-transformers with scikit-learn's regression on top, fitted to the rows that the student learnt from. Rounds
take turns: first one review at a time, then all reviews of a round.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from benchmarks.side_by_side import (
    Contender,
    Round,
    Spread,
    conditions,
    heading,
    interleave,
    parser,
    publish,
    shares,
    table,
)
from stages.common.arrays import FloatArray
from stages.common.links import link_or_copy
from stages.composition.params import Params, load_all
from stages.hardware.sizing import NETWORKS
from stages.inference.load import EXPORTED
from stages.inference.onnx_classifier import FULL, QUANTIZED
from stages.running.errors import ConfigError
from stages.running.io import DATA, read_table
from stages.running.scratch import scratch_folder

OUTPUT = Path("benchmarks/classification.json")
STUDENT = DATA / "student"
BATCH = 64
# In fp32, as everyone else: speeds and answers are compared with this.
OURS = "this project"
# A category and its probability, for each review.
Answers = list[tuple[str, float]]


class Ours:
    """The student as stages and `stages.predict` run it."""

    def __init__(self, file: str) -> None:
        """Load the graph `file` of it."""
        from stages.exporting.folder import use
        from stages.inference.onnx_classifier import DESCRIPTION, TOKENIZER, OnnxClassifier

        # Beside the student: elsewhere its graph may have to be copied, and loading is timed.
        with scratch_folder(DATA, "classification.") as folder:
            shutil.copyfile(STUDENT / EXPORTED / DESCRIPTION, folder / DESCRIPTION)
            for name in (file, TOKENIZER):
                link_or_copy(STUDENT / EXPORTED / name, folder / name)
            use(folder, file)
            self.classifier = OnnxClassifier(folder)

    def classify(self, texts: Sequence[str], _: int) -> Answers:
        """Answer; how many texts share a batch it knows itself."""
        probabilities = self.classifier.predict_proba(texts)
        return _likeliest(probabilities, self.classifier.labels)


class Pipeline:
    """`pipeline("text-classification")`."""

    def __init__(self) -> None:
        """Load the student."""
        from transformers import pipeline

        self.pipeline: Any = pipeline("text-classification", model=str(STUDENT), trust_remote_code=True)

    def classify(self, texts: Sequence[str], batch_size: int) -> Answers:
        """Answer."""
        given = self.pipeline(list(texts), batch_size=batch_size)
        return [(answer["label"], answer["score"]) for answer in given]


class Regression:
    """`SentenceTransformer.encode`, and `LogisticRegression` on what it gives."""

    def __init__(self, params: Params) -> None:
        """Load the encoder; fit the regression to the train rows, most of whose vectors the run has stored."""
        from sentence_transformers import SentenceTransformer
        from sklearn.linear_model import LogisticRegression

        from stages.embedding.embedder import Embedder

        folder = DATA / "models/embedder"
        self.encoder = SentenceTransformer(str(folder), local_files_only=True)
        self.encoder.max_seq_length = params.train.max_tokens
        self.prefix = params.embed.prefix
        rows = read_table(DATA / "dataset/train.parquet")
        names = [params.labels.names[label] for label in rows["label"]]
        vectors = Embedder(folder, params.embed).embed(rows["text"].to_list())
        self.regression = LogisticRegression(max_iter=1000).fit(vectors, names)

    def classify(self, texts: Sequence[str], batch_size: int) -> Answers:
        """Answer."""
        prefixed = [self.prefix + text for text in texts]
        vectors = self.encoder.encode(prefixed, batch_size=batch_size, normalize_embeddings=True)
        return _likeliest(self.regression.predict_proba(vectors), self.regression.classes_.tolist())


def _likeliest(probabilities: Any, labels: Sequence[str]) -> Answers:
    chosen = probabilities.argmax(axis=1)
    return [(labels[index], float(row[index])) for index, row in zip(chosen, probabilities, strict=True)]


@dataclass(frozen=True)
class Result:
    """A contender's figures; `times_slower` is this project's speed by its own, for one review and for many.

    Shares count the arithmetic of the reviews' own tokens, not of padding. `same`: the share of reviews with this
    project's category; `difference`: the largest one between its probability and this project's where it is the same.
    """

    contender: str
    loading_seconds: float
    single_ms: Spread
    single_times_slower: float
    single_shares: dict[str, float]
    reviews_per_second: Spread
    times_slower: float
    shares: dict[str, float]
    same: float
    difference: float


def main() -> None:
    """Measure, print the table, write the record."""
    made = parser(__doc__, OUTPUT)
    made.add_argument("--reviews", type=int, default=256, help="reviews a round in batches (default 256)")
    made.add_argument("--singles", type=int, default=50, help="reviews one at a time, of the same (default 50)")
    arguments = made.parse_args()
    params = load_all()
    texts = _texts(arguments.reviews, params.seed)
    surroundings = conditions("sentence-transformers", "scikit-learn", "onnxruntime")

    ours, quantized = (Contender(partial(Ours, file)) for file in (FULL, QUANTIZED))
    pipeline, regression = Contender(Pipeline), Contender(partial(Regression, params))
    contenders: dict[str, tuple[Contender, int]] = {
        OURS: (ours, BATCH),
        f"{OURS}, int8": (quantized, BATCH),
        "pipeline on a list": (pipeline, 1),
        f"pipeline, batch_size={BATCH}": (pipeline, BATCH),
        "sentence-transformers and scikit-learn": (regression, BATCH),
    }
    asks = {name: partial(_ask, *contender) for name, contender in contenders.items()}
    for ask in asks.values():
        ask(texts[:BATCH])
    singles = interleave(asks, [[text] for text in texts[: arguments.singles]])
    many = interleave(asks, [texts] * arguments.rounds)

    gflops, peaks = _gflops(params, texts), surroundings["gemm_gflops"]
    found = []
    for name, (contender, _) in contenders.items():
        ms, speed = _milliseconds(singles[name]), _speed(many[name])
        same, difference = agreement(many[OURS][0].answer, many[name][0].answer)
        found.append(
            Result(
                contender=name,
                loading_seconds=contender.loading_seconds,
                single_ms=ms,
                single_times_slower=ms.median / _milliseconds(singles[OURS]).median,
                single_shares=shares(1000 * float(np.mean(gflops[: arguments.singles])) / ms.median, peaks),
                reviews_per_second=speed,
                times_slower=_speed(many[OURS]).median / speed.median,
                shares=shares(float(np.mean(gflops)) * speed.median, peaks),
                same=same,
                difference=difference,
            )
        )
    setting = {
        "student": params.models["student"].name,
        "rounds": arguments.rounds,
        "reviews": len(texts),
        "singles": arguments.singles,
        "gflop_a_review": float(np.mean(gflops)),
    }
    publish(arguments.output, surroundings, found, setting=setting)
    print(heading(surroundings))
    print(", ".join(f"{name}={value}" for name, value in setting.items()), "\n")
    print(_table(found))


def _texts(count: int, seed: int) -> list[str]:
    """So many reviews of the run, none twice: what occurs twice need not be computed twice."""
    tables = [read_table(DATA / f"ingest/{name}.parquet") for name in ("gold", "reviews")]
    texts = pd.concat(tables)["text"].drop_duplicates()
    if count > len(texts):
        raise ConfigError(f"{count} reviews wanted, {len(texts)} there; lower --reviews")
    return [str(text) for text in texts.sample(count, random_state=seed)]


def _gflops(params: Params, texts: Sequence[str]) -> FloatArray:
    """GFLOP of each text's own tokens, prompt and all."""
    network = NETWORKS.get(params.models["student"].name)
    if network is None:
        raise ConfigError(f"stages/hardware/sizing.py does not know the size of {params.models['student'].name!r}")
    tokenizer = Tokenizer.from_file(str(STUDENT / "tokenizer.json"))
    tokenizer.enable_truncation(params.train.max_tokens)
    lengths = [len(encoded) for encoded in tokenizer.encode_batch(list(texts))]
    return np.array([network.operations(length, length) / 1e9 for length in lengths])


def _ask(contender: Contender, batch_size: int, texts: Sequence[str]) -> Round:
    return contender.ask("classify", texts, batch_size)


def _milliseconds(rounds: Sequence[Round]) -> Spread:
    return Spread.of([1000 * taken.seconds for taken in rounds])


def _speed(rounds: Sequence[Round]) -> Spread:
    return Spread.of([len(taken.answer) / taken.seconds for taken in rounds])


def agreement(ours: Answers, theirs: Answers) -> tuple[float, float]:
    """The share of reviews with the same category, and the largest difference of its probability among these."""
    pairs = zip(ours, theirs, strict=True)
    differences = [abs(one[1] - other[1]) for one, other in pairs if one[0] == other[0]]
    return len(differences) / len(ours), max(differences, default=0.0)


def _table(found: Sequence[Result]) -> str:
    header = [
        "", "one review, ms", "times slower", "of the fp32 peak", "reviews a second", "times slower",
        "of the fp32 peak", "of the bf16 peak", "same category", "largest difference", "load, s",
    ]  # fmt: skip
    return table(
        header,
        [
            [
                result.contender,
                f"{result.single_ms:.1f}",
                f"{result.single_times_slower:.1f}",
                f"{result.single_shares['fp32']:.0%}",
                f"{result.reviews_per_second:.1f}",
                f"{result.times_slower:.1f}",
                f"{result.shares['fp32']:.0%}",
                f"{result.shares['bf16']:.0%}",
                f"{result.same:.1%}",
                f"{result.difference:.2g}",
                f"{result.loading_seconds:.0f}",
            ]
            for result in found
        ],
    )


if __name__ == "__main__":
    main()
