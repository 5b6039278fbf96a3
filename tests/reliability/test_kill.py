"""kill -9 at random moments of every stage, and the same command again: it ends where an uninterrupted run does."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.code_deps import definitions
from tests.reliability.small_runs import Repro, results, seconds_of_stages, small_run
from tests.tiny_models import make_all

pytestmark = [pytest.mark.slow, pytest.mark.e2e]
SEED = 16
# Latency, and what quotes it: seconds are what these are about.
TIMED = ("data/latency/", "metrics/summary.json", "data/report/", "data/student/README.md")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models of both runs."""
    folder = tmp_path_factory.mktemp("tiny")
    make_all(folder)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, models: Path) -> tuple[Path, dict[str, float]]:
    """A finished run, and the seconds of its stages."""
    checkout = small_run(tmp_path_factory.mktemp("uninterrupted"), models)
    return checkout, seconds_of_stages(Repro(checkout))


@pytest.fixture(scope="module")
def killed(
    tmp_path_factory: pytest.TempPathFactory, models: Path, uninterrupted: tuple[Path, dict[str, float]]
) -> tuple[Path, list[str]]:
    """The same run killed again and again, and where it was each time."""
    checkout = small_run(tmp_path_factory.mktemp("killed"), models)
    of_all = [process for process, _ in asked(uninterrupted[0])]
    # Stage `label` asks first, and a kill that waited for a later question would pass over the stages between.
    return checkout, kill_in_every_stage(checkout, uninterrupted[1], of_all.count(of_all[0]))


def kill_in_every_stage(checkout: Path, seconds: dict[str, float], questions: int) -> list[str]:
    """Kills in an instance of every stage, in the midst of `questions`, and while DVC stores results; where each hit.

    `label` asks so many.
    """
    moments = random.Random(SEED)
    instances = {name: [stage for stage in seconds if stage.split("@")[0] == name] for name in definitions()}
    chosen = {moments.choice(stages) for stages in instances.values()}
    stored = set(moments.sample(sorted(seconds), 6))
    hits = []
    for stage, usual in seconds.items():
        if stage == "label":
            hits += [kill_while_asking(checkout, asked) for asked in sorted(moments.sample(range(1, questions), 4))]
        if stage in chosen:
            hits.append(kill_in(checkout, stage, moments.random() * usual))
        if stage in stored:
            hits.append(kill_while_stored(checkout, stage, moments.uniform(0, 0.3)))
    Repro(checkout).finish()
    return hits


def kill_in(checkout: Path, stage: str, after: float) -> str:
    """Kill the run so many seconds after `stage` began, at its command's end at the latest; where it was then."""
    repro = Repro(checkout)
    repro.wait_until(lambda: stage in repro.begun() or stage in repro.skipped())
    moment = time.monotonic() + after
    repro.wait_until(lambda: time.monotonic() >= moment or stage in repro.ended() or stage in repro.skipped())
    return repro.kill()


def kill_while_stored(checkout: Path, stage: str, after: float) -> str:
    """Kill the run so many seconds after the command of `stage` ended, while DVC moves its results into the cache."""
    repro = Repro(checkout)
    repro.wait_until(lambda: stage in repro.ended() or stage in repro.skipped())
    time.sleep(after)
    return repro.kill()


def kill_while_asking(checkout: Path, questions: int) -> str:
    """Kill the run as soon as all runs together have asked so many."""
    repro = Repro(checkout)
    repro.wait_until(lambda: len(asked(checkout)) >= questions)
    return repro.kill()


def test_every_stage_was_killed(killed):
    _, hits = killed
    assert len(hits) >= 20
    assert {where.split("@")[0] for where in hits} >= set(definitions())


def test_the_end_is_that_of_an_uninterrupted_run(uninterrupted, killed):
    expected, found = results(uninterrupted[0]), results(killed[0])
    assert found.keys() == expected.keys()
    differing = {path for path in expected if found[path] != expected[path]}
    assert not {path for path in differing if not path.startswith(TIMED)}
    # What is compared is there.
    assert {"data/label/labels.parquet", "data/synthetic/style/accepted.parquet"} <= expected.keys()


def test_no_answered_question_was_asked_again(uninterrupted, killed):
    once, often = (asked(checkout) for checkout in (uninterrupted[0], killed[0]))
    times = Counter(question for _, question in once)
    assert set(times.values()) == {1}
    assert {question for _, question in often} == set(times)
    # What a process asked last was in flight when it was killed.
    last = dict(often)
    answered = [question for process, question in often if last[process] != question]
    assert len(answered) == len(set(answered))
    # The kills were in the midst of questions.
    assert len(last) > 3


def asked(checkout: Path) -> list[tuple[str, str]]:
    """Process and question, in their order; none yet where no run has asked any."""
    log = checkout.parent / "asked.txt"
    lines = log.read_text(encoding="ascii").splitlines() if log.is_file() else []
    return [(process, question) for process, question in (line.split() for line in lines)]
