"""The whole chain on a handful of the user's reviews, in a folder of its own: `make smoke`."""

from __future__ import annotations

from pathlib import Path

from stages.composition.overrides import split
from stages.composition.params import load_all
from stages.composition.small import write_few_words, write_handful
from stages.composition.workspace import arguments, make_workspace, whole
from stages.inference.load import load_classifier
from stages.running.errors import run_stage
from stages.running.io import DATA, read_table
from stages.running.record import duration, entries

WORKSPACE = Path(".smoke")


def main() -> None:
    """Prepare the folder, or, with `--tell` and inside of it, say what came of it."""
    given = arguments(WORKSPACE).parse_args()
    if given.tell:
        tell()
    else:
        prepare(split(given.line))


def prepare(overrides: list[str]) -> None:
    """Write what `dvc repro` needs into the folder, and leave there what it has made before.

    Raises:
        ConfigError, DataError: the whole configuration, not the small one alone, would stop at something.
    """
    params, settings = whole(overrides)
    settings["data"] |= write_handful(params, WORKSPACE / "given")
    settings["vocabulary"] |= write_few_words(params, WORKSPACE / "given")
    make_workspace(WORKSPACE, settings, "smoke.yaml")
    names = ", ".join(f"{role} {model.name}" for role, model in params.models.items())
    print(f"In {WORKSPACE}/, twenty reviews of {params.data.path} at most, with {names}", flush=True)


def tell() -> None:
    """Print what worked, what the student answers for two reviews, and what none of this means."""
    texts = read_table(DATA / "ingest/reviews.parquet")["text"]
    classifier = load_classifier(DATA / "student")
    models = load_all().models
    took = duration(sum(entry.seconds for entry in entries()))
    print(
        f"\nEvery stage ran, in {took}: {len(texts)} reviews, labelled by {models['teacher'].name}, with more written "
        f"by {models['generator'].name}, became a student from {models['student'].name}. It answers:"
    )
    # One that it learnt from, and one of the test split.
    shown = [texts.iloc[0], texts.iloc[-1]]
    for text, probabilities in zip(shown, classifier.predict_proba(shown), strict=True):
        print(f"  {classifier.labels[probabilities.argmax()]} ({probabilities.max():.2f}): {text[:80]}")
    print(
        f"It learnt from a handful, so neither this nor any figure in {WORKSPACE}/ means anything. Nothing outside of "
        f"{WORKSPACE}/ has changed but the caches, of which `make repro`, the real run, makes use."
    )


if __name__ == "__main__":
    run_stage(main)
