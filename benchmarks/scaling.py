"""Time and peak memory of `ingest` and `predict` by the number of rows.

    python -m benchmarks.scaling                # 1,000, 10,000 and 100,000 rows
    python -m benchmarks.scaling --million      # and 1,000,000

Each is the real command in a process of its own, on the shipped reviews, numbered so that none repeats another. What
is measured is how a table streams through; so the student is a random one, of two narrow layers. The real one takes
the same memory more by its weights, and the time of its own throughput (`data/latency/latency.json`): rows / rows a
second. Prints a table and writes `benchmarks/scaling.json`.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path

from stages.hardware.machine import cpu_model
from stages.running.io import write_json

ROOT = Path(__file__).parents[1]
ROWS = (1_000, 10_000, 100_000)
MILLION = 1_000_000


def main() -> None:
    """Measure; print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--million", action="store_true", help="measure a million rows too")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/scaling.json")
    arguments = parser.parse_args()
    measured: dict[str, dict[str, dict[str, float]]] = {"ingest": {}, "predict": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # `ingest` reads files that params.yaml names from here.
        for name in ("conf", "data/raw"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(ROOT / name)
        in_a_process(make_student, folder / "student")
        print("| rows | ingest, s | MiB | predict, s | rows/s | MiB |\n|---|---|---|---|---|---|")
        for rows in (*ROWS, *([MILLION] if arguments.million else [])):
            write_reviews(folder / "reviews.csv", rows)
            in_a_process(compose_for, folder)
            ingest = measure(folder, "stages.ingest")
            predict = measure(
                folder, "stages.predict", "--input", "reviews.csv", "--output", "out.csv", "--model", "student"
            )
            measured["ingest"][str(rows)], measured["predict"][str(rows)] = ingest, predict
            print(
                f"| {rows:,} | {ingest['seconds']:.1f} | {ingest['peak_mib']:.0f} | {predict['seconds']:.1f} "
                f"| {rows / predict['seconds']:.0f} | {predict['peak_mib']:.0f} |",
                flush=True,
            )
    write_json(arguments.output, {**measured, "conditions": conditions()})


def measure(folder: Path, module: str, *arguments: str) -> dict[str, float]:
    """Run a command in `folder`; its wall time in seconds and the peak of its resident memory in MiB."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )  # fmt: skip
    log = process.stderr.read() if process.stderr else b""
    # A child's own peak; `RUSAGE_CHILDREN` is the largest of all. It begins with what this process holds, which is
    # why what needs torch runs elsewhere.
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{module} failed:\n{log.decode()}")
    return {"seconds": round(time.perf_counter() - started, 2), "peak_mib": round(usage.ru_maxrss / 2**10, 1)}


def write_reviews(path: Path, rows: int) -> None:
    """The shipped reviews, over and over, each with its number."""
    with (ROOT / "data/raw/sample/reviews.csv").open(encoding="utf-8", newline="") as shipped:
        texts = [row["text"] for row in csv.DictReader(shipped)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows((number, f"{text} № {number}") for number, text in enumerate(islice(cycle(texts), rows)))


def in_a_process(run: object, folder: Path) -> None:
    """Run a function of `folder` in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=run, args=(folder,))  # type: ignore[arg-type]
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)


def make_student(folder: Path) -> None:
    """Write a random student of the sample's nine categories into `folder`."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from stages.inference.folder import write_student
    from tests.tiny_models import sample_texts, xlm_roberta

    names = [f"category {number}" for number in range(9)]
    with tempfile.TemporaryDirectory() as encoder:
        xlm_roberta(Path(encoder), sample_texts())
        model = AutoModelForSequenceClassification.from_pretrained(
            encoder, id2label=dict(enumerate(names)), label2id={name: index for index, name in enumerate(names)}
        )
        write_student(model, AutoTokenizer.from_pretrained(encoder), folder)


def compose_for(folder: Path) -> None:
    """Write the `params.yaml` of `reviews.csv` in `folder`."""
    from stages.composition.compose import compose

    compose(folder / "params.yaml", ["data=own", f"data.path={folder / 'reviews.csv'}"], ROOT / "conf")


def conditions() -> dict[str, str | int | None]:
    """What was measured on, and with."""
    libraries = {name: version(name) for name in ("pandas", "pyarrow", "torch", "transformers")}
    return {"cpu": cpu_model(), "cores": os.cpu_count(), "python": platform.python_version(), **libraries}


if __name__ == "__main__":
    main()
