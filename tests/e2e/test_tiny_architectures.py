"""The GPU profile's chain on a CPU: real vLLM, real fine-tuning, real DVC, random models of the same architectures."""

import json
from pathlib import Path

import pandas as pd
import pytest

from stages.common.provenances import FINAL, PROVENANCES, SYNTHETIC_STEPS
from stages.inference.folder import ENCODER
from tests.e2e.test_chain import copy_of_checkout, figures, run, scores
from tests.reliability.small_runs import files_of
from tests.reliability.timeless import times_in

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of this checkout with `experiment=tiny` and its models, after `dvc repro`."""
    target = copy_of_checkout(tmp_path_factory.mktemp("tiny") / "checkout")
    run(target, "-m", "tests.tiny_models", "data/tiny")
    run(target, "-m", "stages.compose", "experiment=tiny")
    run(target, "-m", "dvc", "repro")
    return target


def config(checkout: Path, folder: str) -> dict:
    return json.loads((checkout / "data" / folder / "config.json").read_text())


def test_the_teacher_is_a_qwen3_that_labelled_most_reviews(checkout, labels):
    assert config(checkout, "models/teacher")["architectures"] == ["Qwen3ForCausalLM"]
    summary = figures(checkout, "measures/labels")
    # Random weights write explanations without a letter now and then; those rows are set aside.
    assert summary["coverage"] > 0.8
    labelled = pd.read_parquet(checkout / "data/label/labels.parquet")
    assert set(labelled["label"]) <= set(labels)
    assert (labelled["explanation"] != "").any()
    for probabilities in labelled["probabilities"]:
        assert sum(probabilities) == pytest.approx(1, abs=1e-6)


def test_every_step_wrote_and_judged_candidates(checkout):
    # Random weights write nothing that passes the filters, or next to nothing; then the next step has no source.
    written = [sum(figures(checkout, f"measures/{step}")["candidates"].values()) for step in SYNTHETIC_STEPS]
    assert written[0] > 0
    assert set(figures(checkout, "measures/rows")) >= {"real", "written"}
    assert len(list((checkout / "metrics/pictures").glob("*.png"))) == 7


def test_the_student_is_a_trained_xlm_roberta_with_the_nine_labels(checkout, labels):
    student = config(checkout, f"students/{FINAL}")
    assert student["architectures"] == ["XLMRobertaForSequenceClassification"]
    assert [student["id2label"][str(index)] for index in range(9)] == labels
    # Of random weights the linear probe may be worth more than the one epoch after it.
    assert all(figures(checkout, f"students/{student}/training")["best_epoch"] in (0, 1) for student in PROVENANCES)
    assert figures(checkout, "latency/latency")["within_limit"]


def test_teacher_and_student_are_scored_on_the_gold_rows(checkout):
    everyone = ("teacher", "curated", *PROVENANCES)
    assert scores(checkout)["rows"].to_dict() == dict.fromkeys(everyone, 18)


def test_only_latency_and_what_sums_it_up_hold_seconds_and_nothing_holds_a_date(checkout):
    timed = {str(path.relative_to(checkout)) for path in files_of(checkout) if times_in(path)}
    assert timed == {"data/latency/latency.json", "metrics/summary.json"}


def test_nothing_runs_again(checkout):
    assert "Running stage" not in run(checkout, "-m", "dvc", "repro")


@pytest.mark.slow
def test_zero_shot_inference_labels_instead(checkout, labels):
    changed = ["label=nli", "label.explanations=none", "prompt=nli", "models.teacher.path=data/tiny/nli"]
    run(checkout, "-m", "stages.compose", "experiment=tiny", *changed)
    run(checkout, "-m", "dvc", "repro", "curate")
    assert config(checkout, "models/teacher")["architectures"] == ["DebertaV2ForSequenceClassification"]
    assert len(pd.read_csv(checkout / "data/label/quarantine.csv")) == 0
    assert set(pd.read_parquet(checkout / "data/curate/labels.parquet")["label"]) <= set(labels)


@pytest.mark.slow
def test_the_profile_of_a_cpu_with_the_hub_ends_in_a_student_to_share(checkout, labels):
    run(checkout, "-m", "stages.compose", "experiment=tiny_hub")
    run(checkout, "-m", "dvc", "repro", "package")
    student = config(checkout, "student")
    assert student["architectures"] == ["SentenceClassifier"]
    assert student["encoder"]["model_type"] == "bert"
    assert [student["id2label"][str(index)] for index in range(9)] == labels
    # A head on the encoder as it is, whose file is the same in all students.
    encoders = {(checkout / "data/students" / name / ENCODER).read_bytes() for name in PROVENANCES}
    assert len(encoders) == 1
