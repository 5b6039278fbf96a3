"""Two real replicas in a real Ray: the answers of one process, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from stages.cluster.executor import open_model
from stages.cluster.ray_pool import connect
from stages.llm.backend import Sampling
from stages.llm.cache import CachedModel, ResponseCache
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.errors import BackendError
from tests.conftest import ROOT

ANSWERS = ["обувь", "одежда", "нет"]
PROMPTS = [f"{number} {'обувь' if number % 3 else 'одежда'}" for number in range(200)]


def alone(tmp_path) -> CachedModel:
    """The model in this process, whose questions are not written down."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("RAZMETKA_SCRIPTED_LOG", raising=False)
        return CachedModel(ScriptedBackend(Path(), None), ResponseCache(tmp_path / "alone.sqlite"))


def asked(log) -> list[list[str]]:
    """(process, question) of all questions, in order."""
    return [line.split() for line in log.read_text().splitlines()]


def wait_for(happened) -> None:
    deadline = time.monotonic() + 120
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_replica_loses_nothing_and_nothing_that_was_answered_is_asked_twice(spread, log, tmp_path):
    killed = []

    def kill():
        wait_for(lambda: len(asked(log)) >= 20)
        killed.append(asked(log)[0][0])
        # In the middle of its shard, it waits for the other to be at work: that may take seconds longer to start.
        os.kill(int(killed[0]), signal.SIGSTOP)
        wait_for(lambda: len({pid for pid, _ in asked(log)}) == 2)
        os.kill(int(killed[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    choices = CachedModel(spread, ResponseCache(tmp_path / "spread.sqlite")).choose(PROMPTS, ANSWERS, "label")
    killer.join()
    assert choices == alone(tmp_path).choose(PROMPTS, ANSWERS, "label")

    questions = [question for _, question in asked(log)]
    assert len(set(questions)) == len(PROMPTS)
    assert len({pid for pid, _ in asked(log)}) >= 2
    # The one that the killed replica was asking has no answer yet.
    unanswered = [question for pid, question in asked(log) if pid == killed[0]][-1]
    assert {question for question, times in Counter(questions).items() if times > 1} <= {unanswered}
    assert len(questions) <= len(PROMPTS) + 1

    # Another machine, whose own cache is empty, asks nobody, whatever its size of shards.
    spread._execute = replace(spread._execute, shard=16)
    elsewhere = CachedModel(spread, ResponseCache(tmp_path / "elsewhere.sqlite"))
    assert elsewhere.choose(PROMPTS, ANSWERS, "label") == choices
    assert len(asked(log)) == len(questions)


@pytest.mark.slow
def test_a_failure_in_a_replica_is_told_as_its_own(spread, tmp_path):
    spread._replica = replace(spread._replica, identity="other weights")
    with pytest.raises(BackendError, match=r"^a replica would answer as 'scripted .*, this process as 'other weights'"):
        CachedModel(spread, ResponseCache(tmp_path / "a.sqlite")).choose(["обувь"], ANSWERS, "label")


def test_a_replica_that_no_node_has_room_for_is_refused(spread, tmp_path):
    # A Ray of its own would have as many cores as the replicas want.
    connect(spread._execute)
    spread._execute = replace(spread._execute, cpus=1000)
    with pytest.raises(BackendError, match=r"no node of Ray .* has the 1000 cores and 0 cards of one replica"):
        CachedModel(spread, ResponseCache(tmp_path / "a.sqlite")).choose(["обувь"], ANSWERS, "label")


@pytest.mark.slow
def test_completions_keep_their_own_settings(spread, log, tmp_path):
    samplings = [Sampling(5, temperature=0.7, stop=("\n",), seed=seed) for seed in range(100)]
    texts = CachedModel(spread, ResponseCache(tmp_path / "a.sqlite")).complete(PROMPTS[:100], samplings, "write")
    assert texts == alone(tmp_path).complete(PROMPTS[:100], samplings, "write")


def test_without_ray_one_line_says_what_to_do(execute, params, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    model = CachedModel(open_model("scripted", Path(), params.vllm, execute), ResponseCache(tmp_path / "a.sqlite"))
    with pytest.raises(BackendError, match="run `make setup-scale`"):
        model.choose(["обувь"], ANSWERS, "label")


def test_one_process_imports_no_ray():
    script = """
import sys
from dataclasses import replace
from pathlib import Path
import stages.label
from stages.composition.compose import compose
from stages.llm.cache import CachedModel
params = compose(Path(sys.argv[1]) / "params.yaml", [])
model = stages.label.open_model("scripted", Path(), params.vllm, params.execute)
print(CachedModel(model).choose(["обувь"], ["обувь", "нет"], "x")[0].mass, "ray" in sys.modules)
"""
    command = [sys.executable, "-c", script, os.environ["RAZMETKA_CACHE"]]
    Path(command[-1]).mkdir(parents=True, exist_ok=True)
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1.0", "False"]


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from stages.cluster.executor import open_model
from stages.running.errors import run_stage
from stages.composition.compose import compose
from stages.llm.cache import CachedModel

def main():
    params = compose(Path(sys.argv[1]) / "params.yaml", ["execute=ray"])
    model = open_model("scripted", Path(), params.vllm, params.execute)
    CachedModel(model).choose([f"{n} обувь" for n in range(2000)], ["обувь", "нет"], "label")

run_stage(main, "All that was answered is kept.")
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["int", "term", "kill"])
def test_a_signal_ends_it_all_and_the_same_command_goes_on(tmp_path, number):
    log = tmp_path / "asked.log"
    log.touch()
    environment = os.environ | {"RAZMETKA_SCRIPTED_LOG": str(log), "RAZMETKA_SCRIPTED_DELAY": "0.02"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(asked(log)) >= 100)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) > 3
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert told.splitlines()[-1].endswith("All that was answered is kept."), told
        assert "Traceback" not in told
    # Two of Ray's see within a minute that their parent was killed.
    _, left = psutil.wait_procs(family, timeout=120 if number == signal.SIGKILL else 20)
    assert not left
    before = len(asked(log))
    assert 100 <= before < 2000
    subprocess.run(command, cwd=ROOT, env=environment | {"RAZMETKA_SCRIPTED_DELAY": "0"}, check=True)
    # What each of the two replicas was asking when it ended has no answer.
    assert len(asked(log)) <= 2000 + 2
    assert len({question for _, question in asked(log)}) == 2000
