"""The real chain, small: real weights, real vLLM, real fine-tuning, real DVC, on a handful of reviews."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from stages.common.io import cache_folder
from stages.common.schema import FINAL, PROVENANCES, SYNTHETIC_STEPS, text_id
from tests.conftest import ROOT

pytestmark = pytest.mark.e2e
WHEELS = cache_folder() / "wheels"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of this checkout with the smoke configuration, after `dvc repro`."""
    target = copy_of_checkout(tmp_path_factory.mktemp("chain") / "checkout")
    run(target, "-m", "stages.compose", "experiment=smoke")
    run(target, "-m", "dvc", "repro")
    return target


def copy_of_checkout(target: Path) -> Path:
    """Copy what Git knows or would add, without results, into the new repository `target`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file() and name not in ("dvc.lock", "params.yaml") and not name.startswith("metrics/"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)
    return target


def environment(checkout: Path, cache: str = "cache") -> dict[str, str]:
    """A cache of answers of its own; the downloaded wheels alone are shared with the user's cache."""
    folder = checkout.parent / cache
    folder.mkdir(exist_ok=True)
    WHEELS.mkdir(parents=True, exist_ok=True)
    if not (folder / "wheels").exists():
        (folder / "wheels").symlink_to(WHEELS)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Where tests run side by side, two threads each would wait for one another.
    threads = {"OMP_NUM_THREADS": "1"} if "PYTEST_XDIST_WORKER" in os.environ else {}
    return os.environ | {"RAZMETKA_CACHE": str(folder), "PATH": path} | threads


def run(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment(checkout), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def answers(path: Path) -> set[str]:
    """The keys of the answers that the cache at `path` holds."""
    try:
        with sqlite3.connect(path) as database:
            return {key for (key,) in database.execute("SELECT key FROM responses")}
    except sqlite3.OperationalError:
        return set()


def metric(checkout: Path, name: str) -> dict:
    return json.loads((checkout / "metrics" / f"{name}.json").read_text())


def test_metrics_are_there(checkout):
    ingest = metric(checkout, "ingest")
    assert ingest["rows_in"] == ingest["rows_out"] + ingest["quarantined"] + ingest["duplicates"] == 40
    assert metric(checkout, "label")["label_coverage"] > 0.9
    scores = metric(checkout, "evaluate")["sample_gold"]
    for who in ("teacher", "curated", *PROVENANCES):
        assert 0 <= scores[who]["all"]["weighted_f1"] <= 1
        assert scores[who]["all"]["rows"] == 18
    assert {parts["all"]["rows"] for parts in metric(checkout, "baselines")["sample_gold"].values()} == {18}
    benchmark = metric(checkout, "benchmark")
    assert benchmark["within_limit"]
    assert benchmark["single"]["p95_ms"] >= benchmark["single"]["p50_ms"] > 0


def test_synthetic_rows_are_accounted_for_and_traceable(checkout):
    plan = pd.read_csv(checkout / "data/analyse/plan.csv")
    rare = set(plan.loc[plan["to_generate"] > 0, "label"])
    seeds = pd.read_csv(checkout / "data/raw/vocabulary/seeds.csv")
    known = {"seed-" + text_id(text) for text in seeds["text"]}
    known |= set(pd.read_parquet(checkout / "data/label/labels.parquet")["id"])
    train = metric(checkout, "dataset")["train"]
    assert train["written"] == {label: (seeds["label"] == label).sum() for label in rare}
    for step in SYNTHETIC_STEPS:
        candidates = metric(checkout, f"generate_{step}")["candidates"]
        written = pd.read_parquet(checkout / f"data/synthetic/{step}/written.parquet")
        rejected = pd.read_csv(checkout / f"data/synthetic/{step}/rejected.csv")
        assert candidates["accepted"] == len(written) == sum(train.get(step, {}).values())
        assert sum(candidates.values()) == len(written) + len(rejected)
        assert set(written["label"]) <= rare
        for row in written.itertuples():
            assert row.prompt
            assert set(row.seed_ids) <= known
        known |= set(written["id"])
    assert train.keys() & set(SYNTHETIC_STEPS), "nothing that was generated was accepted"


def test_seven_pictures_and_the_gain_of_each_step(checkout):
    pictures = checkout / "metrics/pictures"
    for form in ("png", "pdf"):
        assert len(list(pictures.glob(f"*.{form}"))) == 7
    gain = metric(checkout, "synthetic_gain")["sample_gold"]
    assert list(gain["macro_f1"]) == list(PROVENANCES)
    assert list(gain["macro_f1_over_real"]) == list(gain["macro_f1_over_step_before"]) == list(PROVENANCES[1:])


def test_dvc_shows_the_pictures(checkout):
    shown = json.loads(run(checkout, "-m", "dvc", "plots", "show", "--json"))
    assert not shown.get("errors")
    images = [plot for plot, parts in shown["data"].items() if "image" in [part["type"] for part in parts]]
    assert sum("pictures" in plot for plot in images) == 7


def test_page_cards_and_picture_are_there(checkout):
    page = (checkout / "data/report/report.html").read_text(encoding="utf-8")
    assert "</html>" in page
    assert {path.name for path in (checkout / "data/report").glob("*.md")} == {"model_card.md", "dataset_card.md"}
    assert (checkout / "metrics/pictures/original_data.png").stat().st_size > 10_000


def test_every_label_is_one_of_the_nine_with_its_distribution(checkout, labels):
    labelled = pd.read_parquet(checkout / "data/label/labels.parquet")
    assert set(labelled["label"]) <= set(labels)
    for row in labelled.itertuples():
        assert len(row.probabilities) == 9
        assert sum(row.probabilities) == pytest.approx(1, abs=1e-6)
        assert row.confidence == pytest.approx(max(row.probabilities))


def test_student_answers_in_russian_through_a_pipeline(checkout, labels):
    from transformers import pipeline

    answer = pipeline("text-classification", str(checkout / "data/students" / FINAL))("платье село отлично")[0]
    assert answer["label"] in labels


def test_predict_from_a_file_and_from_standard_input(checkout):
    (checkout / "new.csv").write_text("text,stars\nкофта маломерит,2\n=SUM(A1),1\n")
    run(checkout, "-m", "stages.predict", "--input", "new.csv", "--output", "out.csv")
    out = pd.read_csv(checkout / "out.csv")
    assert {"text", "stars", "category", "confidence"} <= set(out.columns)
    assert len(out) == 2
    single = subprocess.run(
        [sys.executable, "-m", "stages.predict"], cwd=checkout, env=environment(checkout), input="кофта маломерит",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert single.stdout.split("\t")[0] == out["category"][0]


def test_nothing_runs_again_and_a_new_loss_reruns_only_what_follows_it(checkout):
    assert "Running stage" not in run(checkout, "-m", "dvc", "repro")
    run(checkout, "-m", "stages.compose", "experiment=smoke", "train/loss=focal")
    planned = run(checkout, "-m", "dvc", "repro", "--dry")
    rerun = {line.split("'")[1] for line in planned.splitlines() if line.startswith("Running stage")}
    run(checkout, "-m", "stages.compose", "experiment=smoke")
    assert rerun
    assert all(name.startswith(("train@", "evaluate", "benchmark", "report")) for name in rerun), rerun


@pytest.mark.slow
def test_labelling_goes_on_after_kill_9(checkout):
    expected = pd.read_parquet(checkout / "data/label/labels.parquet")
    again = environment(checkout, "killed")
    store = checkout.parent / "killed" / "responses.sqlite"
    command = [sys.executable, "-m", "stages.label"]
    process = subprocess.Popen(command, cwd=checkout, env=again, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and len(answers(store)) < 10:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = answers(store)
    assert 10 <= len(before) < len(expected)
    shutil.rmtree(checkout / "data/label")
    subprocess.run(command, cwd=checkout, env=again, check=True, capture_output=True)
    labelled = pd.read_parquet(checkout / "data/label/labels.parquet")
    assert labelled[["id", "label"]].equals(expected[["id", "label"]])
    # None was lost, and none was asked for in a form that an uninterrupted run does not use.
    assert before < answers(store) <= answers(checkout.parent / "cache" / "responses.sqlite")
