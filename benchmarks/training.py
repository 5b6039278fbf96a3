"""Training side by side: stage `train`, and `transformers.Trainer` as it comes.

    python -m benchmarks.training [--student e5-small] [--epochs 3] [--rows 100]

After `dvc repro models dataset`. Everyone learns from the train rows of the last student, each time from the encoder's
weights and with an empty cache of vectors, up to a written folder: this project's head on the encoder as it is, its
fine-tuning in float32 and, where it is not emulated, in bfloat16, and `Trainer` with its defaults on rows padded to the
length at which this project cuts them. `--student` names an option of `conf/models/student/` and `conf/train/`, by
default what `params.yaml` has.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.side_by_side import (
    Contender,
    Spread,
    conditions,
    heading,
    interleave,
    parser,
    publish,
    shares,
    table,
)
from stages.common.arrays import label_indices
from stages.common.provenances import FINAL
from stages.composition.compose import compose
from stages.composition.params import Params, load_all
from stages.hardware.sizing import NETWORKS
from stages.running.errors import ConfigError
from stages.running.io import DATA, read_table
from stages.running.peak import engine_dtype
from stages.scoring.metrics import confusion_matrix, score
from stages.training.learning import Rows
from stages.weights.resolve import resolve

OUTPUT = Path("benchmarks/training.json")
FIRST = "this project, head"
TRAINER = "Trainer"
# Forward, and two products backward for each of it.
PASSES = 3


class Learner:
    """Trains a student in a scratch folder, again at each call of `train`."""

    def __init__(self, folder: Path, params: Params, rows: int | None) -> None:
        """Read the rows, or the first so many; `folder` has the encoder."""
        from stages.train import read_rows

        self.folder, self.params = folder, params
        self.rows, _ = read_rows(params.labels.names, FINAL)
        if rows is not None:
            # Mixed: the rows of a table come by provenance.
            chosen = self.rows.train.shuffle(seed=params.seed).select(range(min(rows, len(self.rows.train))))
            self.rows = dataclasses.replace(self.rows, train=chosen)

    def train(self) -> None:
        """Learn, from nothing but the encoder's weights."""
        # The former student goes when its name does.
        self.scratch = TemporaryDirectory()
        self.student = Path(self.scratch.name) / "student"
        # Vectors of an earlier round would be found again.
        os.environ["RAZMETKA_CACHE"] = self.scratch.name
        self.learn()

    def learn(self) -> None:
        """Write a student into `student`."""
        raise NotImplementedError

    def tokenizer(self) -> Any:
        """What cuts the rows into tokens."""
        raise NotImplementedError

    def tokens(self) -> list[int]:
        """Tokens of each train row, without padding."""
        texts = self.rows.train["text"][:]
        ids = self.tokenizer()(texts, truncation=True, max_length=self.params.train.max_tokens)["input_ids"]
        return [len(row) for row in ids]

    @torch.inference_mode()
    def macro_f1(self) -> float:
        """Of the student just trained, on the gold rows."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        import stages.encoding.sentence_classifier  # noqa: F401  # transformers learns of its architecture

        tokenizer = AutoTokenizer.from_pretrained(self.student)
        model = AutoModelForSequenceClassification.from_pretrained(self.student, dtype=torch.float32).train(False)
        gold = read_table(DATA / "ingest/gold.parquet").query("label != ''")
        predicted = []
        for text in gold["text"]:
            tokens = tokenizer(text, truncation=True, max_length=self.params.train.max_tokens, return_tensors="pt")
            predicted.append(int(model(**tokens).logits.argmax()))
        names = self.params.labels.names
        actual = label_indices(gold["label"], names)
        return float(score(confusion_matrix(actual, np.array(predicted), len(names))).macro_f1)


class Ours(Learner):
    """What stage `train` does, with `train.epochs` of `params`."""

    def learn(self) -> None:
        """As the stage."""
        learn_as_stage(self.folder, self.rows, self.params, self.student)

    def tokenizer(self) -> Any:
        """That of the student, which puts its prompt before every text."""
        from transformers import AutoTokenizer

        from stages.training.student import around

        train = self.params.train
        return around(AutoTokenizer.from_pretrained(self.folder), train.prompt, lowercase=train.lowercase)


def learn_as_stage(folder: Path, rows: Rows, params: Params, student: Path) -> None:
    """Write `student` as stage `train` does, from the encoder in `folder`; curves and checkpoints come beside it.

    An encoder that is not trained gives vectors to a head alone.
    """
    from stages.train import Params as StageParams
    from stages.train import fine_tuned, probed
    from stages.training.curves import Curves
    from stages.training.encoder import Encoder

    encoder = Encoder(folder, params.labels.names, params.train, params.seed)
    curves = Curves(student.with_name("curves"))
    read = StageParams(seed=params.seed, labels=params.labels, distil=params.distil, train=params.train)
    if params.train.epochs:
        fine_tuned(encoder, rows, read, student, student.with_name("checkpoints"), curves)
    else:
        probed(encoder, rows, read, student, curves, twin=None)


class PlainTrainer(Learner):
    """`Trainer` with its defaults, but for the number of epochs."""

    def learn(self) -> None:
        """Train all weights on padded rows."""
        from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

        tokenizer, names = self.tokenizer(), self.params.labels.names
        # Weights stored in half precision would be trained in half precision.
        model = AutoModelForSequenceClassification.from_pretrained(
            self.folder, num_labels=len(names), dtype=torch.float32
        )

        def encode(rows: dict[str, Any]) -> Any:
            return tokenizer(
                rows["text"], truncation=True, max_length=self.params.train.max_tokens, padding="max_length"
            )

        settings = TrainingArguments(
            output_dir=self.scratch.name,
            num_train_epochs=self.params.train.epochs,
            seed=self.params.seed,
            report_to="none",
            disable_tqdm=True,
        )
        rows = self.rows.train.select_columns(["text", "label"]).map(encode, batched=True)
        trainer = Trainer(model=model, args=settings, train_dataset=rows, processing_class=tokenizer)
        trainer.train()
        trainer.save_model(str(self.student))

    def tokenizer(self) -> Any:
        """The encoder's."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.folder)


@dataclass(frozen=True)
class Result:
    """A contender's figures; `times_slower` compares its seconds with the first one's.

    `shares` count the arithmetic of the rows' own tokens, forward and, where there are epochs, backward. `macro_f1` is
    that of every round's student on the gold rows.
    """

    contender: str
    epochs: int
    seconds: Spread
    seconds_an_epoch: float | None
    times_slower: float
    shares: dict[str, float]
    macro_f1: Spread


def main() -> None:
    """Measure, print the table, write the record."""
    made = parser(__doc__, OUTPUT)
    made.add_argument("--student", help="default: that of params.yaml")
    made.add_argument("--epochs", type=int, default=3, help="of fine-tuning and of Trainer (default 3)")
    made.add_argument("--rows", type=int, help="train rows (default: all)")
    arguments = made.parse_args()
    params = _params(arguments.student)
    network = NETWORKS.get(params.models["student"].name)
    if network is None:
        raise ConfigError(f"stages/hardware/sizing.py does not know the size of {params.models['student'].name!r}")
    surroundings = conditions("datasets", "scikit-learn")

    def learning(epochs: int, precision: str) -> Params:
        return dataclasses.replace(params, train=dataclasses.replace(params.train, epochs=epochs, precision=precision))

    with encoder_folder(params) as folder:
        wanted: dict[str, tuple[type[Learner], Params]] = {
            FIRST: (Ours, learning(0, "fp32")),
            "this project, fine-tuning": (Ours, learning(arguments.epochs, "fp32")),
        }
        if engine_dtype("auto") == "bfloat16":
            wanted["this project, fine-tuning in bf16"] = (Ours, learning(arguments.epochs, "bf16"))
        wanted[TRAINER] = (PlainTrainer, learning(arguments.epochs, "fp32"))
        contenders = {
            name: Contender(partial(learner, folder, given, arguments.rows))
            for name, (learner, given) in wanted.items()
        }
        scores: dict[str, list[float]] = {name: [] for name in wanted}

        def train_and_score(name: str, _: int) -> Any:
            taken = contenders[name].ask("train")
            scores[name].append(contenders[name].ask("macro_f1").answer)
            return taken

        rounds = interleave({name: partial(train_and_score, name) for name in wanted}, range(arguments.rounds))
        tokens = {name: contender.ask("tokens").answer for name, contender in contenders.items()}

    found = []
    first = Spread.of([taken.seconds for taken in rounds[FIRST]])
    for name, (_, given) in wanted.items():
        epochs, seconds = given.train.epochs, Spread.of([taken.seconds for taken in rounds[name]])
        gflop = sum(network.operations(length, length) for length in tokens[name]) / 1e9 * (PASSES * epochs or 1)
        found.append(
            Result(
                contender=name,
                epochs=epochs,
                seconds=seconds,
                seconds_an_epoch=seconds.median / epochs if epochs else None,
                times_slower=seconds.median / first.median,
                shares=shares(gflop / seconds.median, surroundings["gemm_gflops"]),
                macro_f1=Spread.of(scores[name]),
            )
        )
    setting = {
        "student": params.models["student"].name,
        "rows": len(tokens[TRAINER]),
        "rounds": arguments.rounds,
    }
    publish(arguments.output, surroundings, found, setting=setting)
    print(heading(surroundings))
    print(", ".join(f"{name}={value}" for name, value in setting.items()), "\n")
    print(_table(found))


def _params(student: str | None) -> Params:
    """`params.yaml`, with another student if one is named."""
    params = load_all()
    if student is None:
        return params
    with TemporaryDirectory() as scratch:
        composed = compose(Path(scratch) / "params.yaml", [f"models/student={student}", f"train={student}"])
    models = {**params.models, "student": composed.models["student"]}
    return dataclasses.replace(params, models=models, train=composed.train)


@contextmanager
def encoder_folder(params: Params) -> Iterator[Path]:
    """The folder of the student's encoder: that of the run, or one fetched for the time being."""
    model = params.models["student"]
    if model == load_all().models["student"]:
        yield DATA / "models/student"
        return
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / model.name
        resolve(model, folder)
        yield folder


def _table(found: Sequence[Result]) -> str:
    header = [
        "", "epochs", "seconds", "an epoch", "times slower", "of the fp32 peak", "of the bf16 peak", "macro F1, gold",
    ]  # fmt: skip
    return table(
        header,
        [
            [
                result.contender,
                str(result.epochs),
                f"{result.seconds:.1f}",
                "" if result.seconds_an_epoch is None else f"{result.seconds_an_epoch:.1f}",
                f"{result.times_slower:.1f}",
                *(f"{share:.0%}" for share in result.shares.values()),
                f"{result.macro_f1:.3f}",
            ]
            for result in found
        ],
    )


if __name__ == "__main__":
    main()
