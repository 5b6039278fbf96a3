"""Ten thousand reviews and a teacher that fails on 5% of them in five ways: nothing lost, nothing double."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from stages.composition.compose import compose
from tests.conftest import ROOT
from tests.reliability.failing_teacher import MALFORMED, NAN, PERMANENT, number_of

pytestmark = pytest.mark.slow
REVIEWS = 10_000
HOPELESS = {PERMANENT: "out of memory", NAN: "unsound", MALFORMED: "explanation"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose ten thousand reviews are taken in."""
    folder = tmp_path_factory.mktemp("soak")
    (folder / "conf").symlink_to(ROOT / "conf")
    (folder / "data").mkdir()
    (folder / "data/raw").symlink_to(ROOT / "data/raw")
    stems = ("обувь", "посуда", "одежда")
    texts = [f"{stems[number % 3]} номер {number} как на фото" for number in range(REVIEWS)]
    pd.DataFrame({"text": texts}).to_csv(folder / "mine.csv", index=False)
    changed = ["data=own", "data.path=mine.csv", "label.backend=scripted", "label.explanations=all"]
    compose(folder / "params.yaml", changed, ROOT / "conf")
    run(folder, "stages.ingest")
    return folder


@pytest.fixture(scope="module")
def log(workspace: Path) -> str:
    """What stage `label` said of its first run."""
    return run(workspace, "tests.reliability.failing_teacher")


def run(folder: Path, module: str) -> str:
    environment = {"RAZMETKA_CACHE": str(folder / "cache"), "RAZMETKA_SCRIPTED_LOG": str(folder / "asked.txt")}
    environment |= {"RAZMETKA_REVIEWS": str(REVIEWS), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


def outcome(workspace: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that were labelled, and those that were set aside."""
    labelled = pd.read_parquet(workspace / "data/label/labels.parquet")
    return labelled, pd.read_csv(workspace / "data/label/quarantine.csv", keep_default_na=False)


def check_outcome(workspace: Path) -> None:
    labelled, quarantined = outcome(workspace)
    numbers = Counter(number_of(text) for text in [*labelled["text"], *quarantined["text"]])
    assert numbers == Counter(range(REVIEWS))
    assert {number_of(text) % 100 for text in labelled["text"]} == set(range(100)) - HOPELESS.keys()
    assert (labelled["explanation"] != "").all()
    assert labelled["probabilities"].map(sum).between(0.999, 1.001).all()
    for text, failure in zip(quarantined["text"], quarantined["failure"], strict=True):
        assert HOPELESS[number_of(text) % 100] in failure
        assert "\n" not in failure


def test_every_row_is_labelled_or_set_aside_with_its_reason(workspace: Path, log: str) -> None:
    check_outcome(workspace)
    assert f"{REVIEWS * 97 // 100} reviews labelled" in log


def test_memory_is_flat(workspace: Path, log: str) -> None:
    resident = [float(line) for line in (workspace / "memory.txt").read_text().split()]
    labelling, explaining = resident[:10], resident[10:]
    assert len(explaining) >= 9
    # An answer is a kilobyte; the prompts of all reviews are made before the first is asked, some seven kilobytes each.
    assert labelling[-1] - labelling[0] < 20
    assert explaining[-1] - explaining[0] < 20
    assert resident[-1] - resident[0] < 100


def test_progress_is_shown(log: str) -> None:
    shares = [int(share) for share in re.findall(r"label: \d+ of \d+ \((\d+)%\)", log)]
    assert shares
    assert shares == sorted(shares)
    assert re.search(r"label: \d+ answers in ", log)


def test_the_next_run_asks_for_what_has_no_answer_and_for_nothing_else(workspace: Path, log: str) -> None:
    asked = workspace / "asked.txt"
    before = [line.split()[1] for line in asked.read_text().splitlines()]
    # The answers come at the first time, but for reviews that the teacher fails on.
    assert sum(times > 1 for times in Counter(before).values()) <= REVIEWS * 10 // 100
    first = [frame.copy() for frame in outcome(workspace)]
    asked.unlink()
    run(workspace, "tests.reliability.failing_teacher")
    check_outcome(workspace)
    for again, once in zip(outcome(workspace), first, strict=True):
        pd.testing.assert_frame_equal(again, once)
    # A malformed explanation is an answer, and stored as one.
    again = {line.split()[1] for line in asked.read_text().splitlines()}
    assert len(again) == REVIEWS * 2 // 100
    assert again <= set(before)
