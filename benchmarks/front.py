"""The front of speed and quality: students from slow to fast on the same rows.

    python -m benchmarks.front [--checked FILE.csv …]

After `dvc repro`. Every student is trained as stage `train` does, on the rows of the last one, and exported in fp32 and
int8. F1 on the sample's gold and further checked reviews, and on each file named; milliseconds of one review at a time
by ONNX Runtime, the students taking turns. Prints a table, writes `benchmarks/front.json` and draws
`benchmarks/front.png`.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.side_by_side import Spread, conditions, heading, parser, publish, table
from benchmarks.training import encoder_folder, learn_as_stage
from stages.common.arrays import label_indices
from stages.common.gold import labelled_gold
from stages.common.provenances import FINAL
from stages.composition.compose import compose
from stages.composition.params import Params, load_all
from stages.exporting.folder import use, write_onnx
from stages.inference.onnx_classifier import FULL, QUANTIZED, OnnxClassifier
from stages.latency.front import SAMPLE, Kind
from stages.running.io import DATA, read_table
from stages.scoring.metrics import confusion_matrix, interval, resample, score

OUTPUT = Path("benchmarks/front.json")
# How each differs from params.yaml.
STUDENTS = {
    "EmbeddingGemma": [],
    "e5-small, fine-tuned": ["models/student=e5-small", "train=e5-small"],
    "e5-small, distilled": ["student=fast"],
    "static vectors of words": ["student=fastest"],
}


@dataclass(frozen=True)
class Result:
    """A student in one of its formats; scores by the name of the rows, with the ends of 95% intervals."""

    student: str
    kind: Kind
    format: str
    mib: float
    ms: Spread
    scores: dict[str, tuple[float, float, float]]


def main() -> None:
    """Train, measure, print the table, write the record and the picture."""
    made = parser(__doc__, OUTPUT)
    made.add_argument("--checked", type=Path, nargs="*", default=[], help="CSV with text and label, weighted F1 of it")
    made.add_argument("--students", nargs="*", choices=STUDENTS, default=list(STUDENTS), help="default: all of them")
    made.add_argument("--singles", type=int, default=60, help="reviews that are timed (default 60)")
    arguments = made.parse_args()
    params = load_all()
    rows = _rows(params, arguments.checked)
    surroundings = conditions("onnxruntime")
    students = [student for name in arguments.students for student in _exported(name)]
    found = measure(students, rows, arguments.singles, params.labels.names, params.seed)
    publish(arguments.output, surroundings, found, setting={"singles": arguments.singles})
    print(heading(surroundings))
    print(_table(found, list(rows)))
    draw(found, next(iter(rows)), arguments.output.with_suffix(".png"))


def _rows(params: Params, files: list[Path]) -> dict[str, pd.DataFrame]:
    names = params.labels.names
    sets = {
        "gold": labelled_gold(DATA / "ingest/gold.parquet", names),
        "checked": labelled_gold(DATA / "ingest/calibration.parquet", names),
    }
    tables = {file.stem: read_table(file) for file in files}
    return sets | {name: rows[rows["label"].isin(names)] for name, rows in tables.items()}


@dataclass(frozen=True)
class Exported:
    """A student in one of its formats, and the size of its graph."""

    student: str
    kind: Kind
    format: str
    mib: float
    classifier: OnnxClassifier


def _exported(name: str) -> list[Exported]:
    """Train one of them, and load it in both formats; what lies on the disk meanwhile is gone afterwards."""
    import stages.distil
    from stages.train import read_rows

    with TemporaryDirectory() as scratch:
        work = Path(scratch)
        params = compose(work / "params.yaml", STUDENTS[name])
        rows, _ = read_rows(params.labels.names, FINAL)
        student, exported = work / "student", work / "onnx"
        with encoder_folder(params) as folder:
            if params.distil.into is not None:
                distilled = work / "distilled"
                distilled.mkdir()
                read = {field.name: getattr(params, field.name) for field in dataclasses.fields(stages.distil.Params)}
                stages.distil.write_encoder(stages.distil.Params(**read), folder, distilled).clean()
                folder = distilled
            learn_as_stage(folder, rows, params, student)
        exported.mkdir()
        write_onnx(student, exported)
        found = []
        for form, file in (("fp32", FULL), ("int8", QUANTIZED)):
            use(exported, file)
            size = (exported / file).stat().st_size / 2**20
            kind = Kind(params.models["student"].name, params.distil.into is not None, params.train.epochs > 0)
            found.append(Exported(name, kind, form, size, OnnxClassifier(exported)))
    return found


def measure(
    students: list[Exported], rows: dict[str, pd.DataFrame], singles: int, names: list[str], seed: int
) -> list[Result]:
    """Score every student in both formats, and time them in turns."""
    timed = rows["gold"]["text"].sample(singles, random_state=seed).to_list()
    seconds: list[list[float]] = [[] for _ in students]
    for text in [timed[0], *timed]:
        for student, taken in zip(students, seconds, strict=True):
            start = time.perf_counter()
            student.classifier.predict_proba([text])
            taken.append(time.perf_counter() - start)
    return [
        Result(
            student=student.student,
            kind=student.kind,
            format=student.format,
            mib=student.mib,
            # The first call of each is a warm-up.
            ms=Spread.of([1000 * second for second in taken[1:]]),
            scores={part: _score(student.classifier, checked, part, names, seed) for part, checked in rows.items()},
        )
        for student, taken in zip(students, seconds, strict=True)
    ]


def _score(
    classifier: OnnxClassifier, checked: pd.DataFrame, part: str, names: list[str], seed: int
) -> tuple[float, float, float]:
    """Macro F1 on the sample's sets, which are balanced, weighted F1 on a shop's; with its interval."""
    predicted = classifier.predict_proba(checked["text"].to_list()).argmax(axis=1)
    confusion = confusion_matrix(label_indices(checked["label"], names), predicted, len(names))
    measure = "macro_f1" if part in SAMPLE else "weighted_f1"
    drawn: Any = getattr(score(resample(confusion, 1000, seed)), measure)
    return float(getattr(score(confusion), measure)), *interval(drawn, 0.95)


def draw(found: list[Result], part: str, path: Path) -> None:
    """F1 against milliseconds; fp32 and int8 of a student are joined."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for number, name in enumerate(dict.fromkeys(result.student for result in found)):
        formats = [result for result in found if result.student == name]
        values = [result.scores[part] for result in formats]
        error = np.array([[value - low, high - value] for value, low, high in values]).T
        line = axes.errorbar(
            [result.ms.median for result in formats], [value for value, _, _ in values], error, capsize=2, lw=1
        )
        for result, (value, _, _) in zip(formats, values, strict=True):
            face = line[0].get_color() if result.format == "fp32" else "white"
            axes.plot(result.ms.median, value, "o", color=line[0].get_color(), markerfacecolor=face, zorder=3)
        # Above and below in turn: two students may be alike.
        beside = (6, -14 if number % 2 else 6)
        axes.annotate(name, (formats[0].ms.median, values[0][0]), xytext=beside, textcoords="offset points", fontsize=9)
    axes.set(xscale="log", xlabel="milliseconds a review (filled: fp32, hollow: int8)", ylabel=f"macro F1, {part}")
    axes.axvline(14, color="grey", lw=0.8, ls=":")
    axes.grid(alpha=0.3)
    axes.margins(x=0.35)
    figure.savefig(path, dpi=120)


def _table(found: list[Result], parts: list[str]) -> str:
    return table(
        ["", "format", "MiB", "one review, ms", *parts],
        [
            [
                result.student,
                result.format,
                f"{result.mib:.0f}",
                f"{result.ms:.2f}",
                *("{:.3f} [{:.3f}, {:.3f}]".format(*result.scores[part]) for part in parts),
            ]
            for result in found
        ],
    )


if __name__ == "__main__":
    main()
