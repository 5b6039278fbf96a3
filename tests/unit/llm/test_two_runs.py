"""Two runs at once, as real processes with one cache: each question is asked once."""

import os
import platform
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from stages.llm import claims
from stages.llm.cache import ResponseCache

# Writes down every prompt in the moment in which it is asked.
SCRIPT = """
import os, sys
from pathlib import Path
from stages.llm.cache import CachedModel
from stages.llm.scripted_backend import ScriptedBackend

class Noted(ScriptedBackend):
    def choose(self, prompts, answers, reasoning=None):
        for prompt in prompts:
            os.write(noted, f"{prompt}\\n".encode())
            yield from ((prompts.index(prompt), choice) for _, choice in super().choose([prompt], answers, reasoning))

noted = os.open(sys.argv[1], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
first, last = map(int, sys.argv[2:])
prompts = [f"{number} обувь" for number in range(first, last)]
model = CachedModel(Noted(Path(), None))
assert len(model.choose(prompts, ["обувь", "нет"], "x")) == last - first
"""


def start(folder: Path, name: str, first: int, last: int) -> subprocess.Popen:
    environment = os.environ | {"RAZMETKA_CACHE": str(folder), "RAZMETKA_SCRIPTED_DELAY": "0.02"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, folder / name, str(first), str(last)], env=environment)


def noted(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def left(folder: Path) -> int:
    with sqlite3.connect(folder / "responses.sqlite") as database:
        return database.execute("SELECT COUNT(*) FROM claims").fetchone()[0]


def test_two_runs_ask_each_question_once_and_own_ones_first(tmp_path):
    one = start(tmp_path, "one", 0, 120)
    wait_until(lambda: len(noted(tmp_path / "one")) > 3)
    two = start(tmp_path, "two", 60, 150)
    assert (one.wait(), two.wait()) == (0, 0)
    # The second one has asked what the first did not want, and waited for the rest.
    assert noted(tmp_path / "two") == [f"{number} обувь" for number in range(120, 150)]
    assert noted(tmp_path / "one") == [f"{number} обувь" for number in range(120)]
    assert left(tmp_path) == 0


def test_what_a_killed_run_had_claimed_is_taken_over_at_once(tmp_path):
    one = start(tmp_path, "one", 0, 100)
    wait_until(lambda: len(noted(tmp_path / "one")) > 10)
    two = start(tmp_path, "two", 0, 100)
    time.sleep(1.0)
    # Nobody has waited for it: a zombie asks nothing either.
    one.send_signal(signal.SIGKILL)
    assert two.wait() == 0
    one.wait()
    counts = Counter(noted(tmp_path / "one") + noted(tmp_path / "two"))
    assert counts.keys() == {f"{number} обувь" for number in range(100)}
    # The killed one had a single question in hand.
    assert counts.total() <= 101
    assert left(tmp_path) == 0


def test_an_interrupted_run_gives_its_claims_up(tmp_path):
    one = start(tmp_path, "one", 0, 500)
    wait_until(lambda: len(noted(tmp_path / "one")) > 3)
    one.send_signal(signal.SIGINT)
    assert one.wait() != 0
    assert left(tmp_path) == 0


@pytest.fixture
def cache(tmp_path):
    return ResponseCache(tmp_path / "a.sqlite")


def claim(cache: ResponseCache, owner: str, until: float) -> None:
    cache.database.execute("INSERT OR REPLACE INTO claims VALUES ('a', ?, ?)", [owner, until])


def test_a_lease_counts_elsewhere_alone(cache):
    now = time.time()
    elsewhere = claims.owner(os.getpid()).replace(platform.node(), "another-machine")
    claim(cache, elsewhere, now + 60)
    assert cache.claims.take(["a", "b"]) == ["b"]
    claim(cache, elsewhere, now - 1)
    assert cache.claims.take(["a", "b"]) == ["a", "b"]
    # Here nobody is dead because a lease ran out, nor alive because it did not.
    claim(cache, claims.owner(os.getppid()), now - 1)
    assert cache.claims.take(["a"]) == []
    place, boot, pid, started = claims.owner(os.getppid()).rsplit("/", 3)
    for dead in (f"{place}/{boot}/{pid}/{int(started) - 1}", f"{place}/another-boot/{pid}/{started}"):
        claim(cache, dead, now + 60)
        assert cache.claims.take(["a"]) == ["a"]


def test_a_lease_is_renewed_while_answers_come(cache, monkeypatch):
    cache.claims.take(["a"])
    (before,) = cache.database.execute("SELECT until FROM claims")
    cache.claims.renew()
    assert cache.database.execute("SELECT until FROM claims") == [before]
    monkeypatch.setattr(claims, "RENEWED_AFTER", 0.0)
    cache.claims.renew()
    assert cache.database.execute("SELECT until FROM claims") > [before]
