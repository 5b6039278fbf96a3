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
import yaml
from datasets import load_dataset

from stages.common.cache import cache_folder
from stages.common.provenances import FINAL, PROVENANCES, SYNTHETIC_STEPS
from stages.common.texts import text_id
from stages.inference.folder import ENCODER, HEAD
from stages.running.io import write_table
from stages.running.record import RECORD, entries
from stages.vocabulary.config import VocabularyFiles
from stages.vocabulary.vocabulary import read_vocabulary
from tests.conftest import ROOT

pytestmark = pytest.mark.e2e
WHEELS = cache_folder() / "wheels"
# More than any student reads.
LONG = " ".join(["платье село после стирки"] * 400)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of this checkout with `experiment=ci`, after `dvc repro`."""
    target = copy_of_checkout(tmp_path_factory.mktemp("chain") / "checkout")
    leave_few_words(target / "data/raw/vocabulary")
    run(target, "-m", "stages.compose", "experiment=ci")
    run(target, "-m", "dvc", "repro")
    return target


def copy_of_checkout(target: Path) -> Path:
    """Copy what Git knows or would add, without results, into the new repository `target`."""
    subprocess.run(["git", "init", "--quiet", target], check=True)
    # In an unpacked ZIP, without Git, the new repository tells what it would add.
    elsewhere = [] if (ROOT / ".git").exists() else [f"--git-dir={target}/.git", f"--work-tree={ROOT}"]
    command = ["git", *elsewhere, "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file() and name not in ("dvc.lock", "params.yaml") and not name.startswith("metrics/"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def leave_few_words(vocabulary: Path) -> None:
    """Leave a few written reviews and products of each category: six students are trained on all that is written."""
    seeds, attributes = vocabulary / "seeds.csv", vocabulary / "attributes.yaml"
    pd.read_csv(seeds).groupby("label").head(10).to_csv(seeds, index=False)
    lists = yaml.safe_load(attributes.read_text())
    lists["products"] = {label: dict([*listed.items()][:10]) for label, listed in lists["products"].items()}
    attributes.write_text(yaml.safe_dump(lists, allow_unicode=True))


def environment(checkout: Path, cache: str = "cache") -> dict[str, str]:
    """A cache of answers of its own; the downloaded wheels alone are shared with the user's cache, and stay there."""
    folder = checkout.parent / cache
    folder.mkdir(exist_ok=True)
    WHEELS.mkdir(parents=True, exist_ok=True)
    if not (folder / "wheels").exists():
        (folder / "wheels").symlink_to(WHEELS)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Where tests run side by side, two threads each would wait for one another.
    threads = {"OMP_NUM_THREADS": "1"} if "PYTEST_XDIST_WORKER" in os.environ else {}
    return os.environ | {"RAZMETKA_CACHE": str(folder), "RAZMETKA_KEEP_DOWNLOADS": "1", "PATH": path} | threads


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


def figures(checkout: Path, name: str) -> dict:
    """A file of figures below data/."""
    return json.loads((checkout / "data" / f"{name}.json").read_text())


def scores(checkout: Path, table: str = "scores") -> pd.DataFrame:
    """The table of scores over all rows of the gold set, by who was scored."""
    whole = pd.read_csv(checkout / f"metrics/{table}.csv").query("subset == 'all'")
    assert set(whole["gold_set"]) == {"sample_gold"}
    return whole.set_index("who")


def test_metrics_are_there(checkout):
    ingest = figures(checkout, "ingest/counts")
    assert ingest["rows_in"] == ingest["rows_out"] + ingest["quarantined"] + ingest["duplicates"] == 40
    assert figures(checkout, "measures/labels")["coverage"] > 0.9
    scored = scores(checkout)
    assert list(scored.index) == ["teacher", "curated", *PROVENANCES]
    assert scored["weighted_f1"].between(0, 1).all()
    assert set(scored["rows"]) == set(scores(checkout, "baselines")["rows"]) == {18}
    latency = figures(checkout, "latency/latency")
    assert latency["within_limit"]
    assert latency["single"]["p95_ms"] >= latency["single"]["p50_ms"] > 0


def test_every_stage_is_in_the_record_and_git_does_not_see_it(checkout):
    found = {entry.stage: entry for entry in entries(path=checkout / RECORD)}
    assert {"check", "models@teacher", "label", "generate", "train@real", "package"} <= set(found)
    label = found["label"]
    assert label.succeeded
    assert label.done.get("answers", 0) + label.done.get("known answers", 0) >= 40
    assert 0 < label.peak_gb < 64
    printed = run(checkout, "-m", "stages.headline")
    assert "all stages" in printed
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    seen = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout
    assert RECORD.name not in seen


def test_a_reviewer_sees_ten_figures(checkout):
    shown = json.loads(run(checkout, "-m", "dvc", "metrics", "show", "--json"))[""]["data"]
    assert list(shown) == ["metrics/summary.json"]
    summary = shown["metrics/summary.json"]["data"]
    assert 8 <= len(summary) <= 12
    assert summary["macro_f1"] == scores(checkout).loc[FINAL, "macro_f1"]
    assert all(isinstance(value, float) for value in summary.values())


def test_what_was_written_is_learnt_from_alone_and_among_sentences_of_the_shop(checkout, labels):
    folder = checkout / "data/raw/vocabulary"
    files = VocabularyFiles(seeds=str(folder / "seeds.csv"), attributes=str(folder / "attributes.yaml"))
    vocabulary = read_vocabulary(files, labels)
    mixed = pd.read_parquet(checkout / "data/mix/rows.parquet")
    written = pd.concat([vocabulary.examples(), vocabulary.names(), mixed])
    assert figures(checkout, "measures/rows")["written"] == written["label"].value_counts().to_dict()
    reviews = pd.read_parquet(checkout / "data/ingest/reviews.parquet").query("split != 'train'")
    assert not any(review in text for text in mixed["text"] for review in reviews["text"])


def test_synthetic_rows_are_accounted_for_and_traceable(checkout):
    plan = pd.read_csv(checkout / "data/analyse/plan.csv")
    rare = set(plan.loc[plan["to_generate"] > 0, "label"])
    seeds = pd.read_csv(checkout / "data/raw/vocabulary/seeds.csv")
    known = {"seed-" + text_id(text) for text in seeds["text"]}
    known |= set(pd.read_parquet(checkout / "data/label/labels.parquet")["id"])
    train = figures(checkout, "measures/rows")
    for step in SYNTHETIC_STEPS:
        counts = figures(checkout, f"measures/{step}")["candidates"]
        candidates = pd.read_parquet(checkout / f"data/synthetic/{step}/candidates.parquet")
        written = candidates[candidates["reason"] == ""]
        rejected = pd.read_csv(checkout / f"data/measures/rejected_{step}.csv")
        assert counts["accepted"] == len(written) == sum(train.get(step, {}).values())
        assert sum(counts.values()) == len(candidates) == len(written) + len(rejected)
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
    gain = pd.read_csv(checkout / "metrics/gain.csv").query("measure == 'macro F1'")
    assert list(gain.query("over == 'real'")["student"]) == PROVENANCES[1:]
    assert set(zip(PROVENANCES[1:], PROVENANCES, strict=False)) <= set(zip(gain["student"], gain["over"], strict=True))


def test_the_dataset_opens_as_hugging_face_users_open_it(checkout, labels, tmp_path):
    opened = load_dataset(str(checkout / "data/dataset"), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in opened.items()}.keys() == {"train", "validation", "test"}
    assert opened["train"].features["label"].names == labels
    assert (checkout / "data/dataset/README.md").read_text().startswith("---\n")


def test_the_folder_to_share_is_complete(checkout, labels):
    folder = checkout / "data/student"
    parts = {"README.md", "example.py", "config.json", "tokenizer.json", "onnx", HEAD, ENCODER}
    assert parts <= {path.name for path in folder.iterdir()}
    card = (folder / "README.md").read_text()
    assert 'language: "ru"' in card
    assert "| sample_gold, all |" in card
    done = subprocess.run(
        [sys.executable, "example.py", LONG], cwd=folder, env=environment(checkout), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    category, confidence, review = done.stdout.strip().split("\t")
    assert category in labels
    assert (0 < float(confidence) <= 1, review) == (True, LONG)


def test_a_colleague_gets_student_and_data_from_a_remote(checkout, tmp_path):
    run(checkout, "-m", "dvc", "remote", "add", "--force", "--default", "shared", str(tmp_path / "remote"))
    run(checkout, "-m", "dvc", "push", "data/student", "data/dataset")
    colleague = tmp_path / "colleague"
    ignored = shutil.ignore_patterns("models", "students", "student", "dataset", "cache", "tmp")
    shutil.copytree(checkout, colleague, ignore=ignored, symlinks=True)
    run(colleague, "-m", "dvc", "pull", "data/student", "data/dataset")
    assert not (colleague / "data/models").exists()
    review = "платье село отлично"
    answers = [
        subprocess.run(
            [sys.executable, "-m", "stages.predict"], cwd=folder, env=environment(checkout), input=review,
            capture_output=True, text=True, check=True,
        ).stdout
        for folder in (checkout, colleague)
    ]  # fmt: skip
    assert answers[0] == answers[1] != ""


def test_dvc_shows_the_pictures(checkout):
    shown = json.loads(run(checkout, "-m", "dvc", "plots", "show", "--json"))
    assert not shown.get("errors")
    images = [plot for plot, parts in shown["data"].items() if "image" in [part["type"] for part in parts]]
    assert sum("pictures" in plot for plot in images) == 7


def test_page_cards_and_picture_are_there(checkout):
    page = (checkout / "data/report/report.html").read_text(encoding="utf-8")
    assert "</html>" in page
    assert {path.name for path in (checkout / "data/report").glob("*.md")} == {"dataset_card.md"}
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
    run(checkout, "-m", "stages.compose", "experiment=ci", "train/loss=focal")
    planned = run(checkout, "-m", "dvc", "repro", "--dry")
    rerun = {line.split("'")[1] for line in planned.splitlines() if line.startswith("Running stage")}
    run(checkout, "-m", "stages.compose", "experiment=ci")
    assert rerun
    follows = (
        "check", "train@", "doubt", "answer", "evaluate", "export", "index", "benchmark", "summary", "report",
        "package",
    )  # fmt: skip
    assert all(name.startswith(follows) for name in rerun), rerun


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("drawing/pictures.py", {"draw", "report", "package"}),
        ("scoring/confusion.py", {"evaluate"}),
        ("measures/synthetic.py", {"measure"}),
        ("training/losses.py", {f"train@{student}" for student in PROVENANCES}),
        ("hardware/sizing.py", set()),
        ("llm/nli_backend.py", set()),
    ],
)
def test_an_edit_makes_stale_what_runs_the_file_and_nothing_else(file, stale, checkout):
    path = checkout / "stages" / file
    source = path.read_text()
    path.write_text(f"{source}# edited\n")
    try:
        status = json.loads(run(checkout, "-m", "dvc", "status", "--json"))
    finally:
        path.write_text(source)
    assert set(status) == stale


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


def test_answers_reach_the_student_human_and_no_language_model(checkout, labels):
    """The last test but one: the last one goes on with these answers."""
    students = {name: checkout / "data/students" / name / HEAD for name in ("written", "human")}
    assert students["human"].read_bytes() == students["written"].read_bytes(), "nobody answered anything"
    alone = pd.read_parquet(checkout / "data/correct/labels.parquet").groupby("split").head(2).set_index("id")
    another = dict(zip(labels, [*labels[1:], labels[0]], strict=True))
    answers = alone.assign(label=alone["label"].map(another), drawn="random").sort_index().reset_index()
    write_table(checkout / "annotations/answers.csv", answers[["id", "text", "label", "drawn"]])
    said = run(checkout, "-m", "dvc", "repro", "train@human")
    # What else would follow is held by tests/unit/stages/test_dag.py.
    ran = {line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")}
    assert {"correct", "dataset", "train@human"} <= ran <= {"correct", "dataset", "distil", "train@human"}
    counts = figures(checkout, "correct/counts")
    assert counts == {"answers": 6, "learnt": 2, "temperature": 2, "scored": 2, "set_aside": 0}
    splits = [pd.read_parquet(checkout / f"data/dataset/{split}.parquet") for split in ("train", "validation", "test")]
    rows = pd.concat(splits).set_index("id").loc[answers["id"]]
    assert [labels[index] for index in rows["label"]] == answers["label"].to_list()
    assert [labels[index] for index in rows["machine_label"]] == alone.loc[rows.index, "label"].to_list()
    assert set(rows["provenance"]) == {"human"}
    assert students["human"].read_bytes() != students["written"].read_bytes()


def test_students_of_one_encoder_share_its_file(checkout):
    """The last test of this module: its students stay those of `train.epochs=0`, which is the default of real runs.

    With fewer layers the encoder is a new one: what DVC's cache has already, as where an epoch before was worse than
    the probe, DVC leaves as a copy in the first student.
    """
    untrained = ("experiment=ci", "train.epochs=0", "train.layers=2")
    run(checkout, "-m", "stages.compose", *untrained, "train.linear_probe=0.1")
    run(checkout, "-m", "dvc", "repro", "package")
    files = [
        *(checkout / "data/students" / name / ENCODER for name in PROVENANCES),
        checkout / "data/student" / ENCODER,
    ]
    assert len({file.stat().st_ino for file in files}) == 1
    cached = [file for file in (checkout / ".dvc/cache").rglob("*") if file.is_file() and file.samefile(files[0])]
    assert len(cached) == 1
    heads = {(checkout / "data/students" / name / HEAD).read_bytes() for name in PROVENANCES}
    assert len(heads) > 1
    # DVC write-protects what it shares; the next run replaces it all the same.
    run(checkout, "-m", "stages.compose", *untrained, "train.linear_probe=0.2")
    run(checkout, "-m", "dvc", "repro", "package")
    assert {(checkout / "data/students" / name / HEAD).read_bytes() for name in PROVENANCES}.isdisjoint(heads)
    assert len({file.stat().st_ino for file in files}) == 1
