import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.llm.backend import Sampling, open_backend
from stages.llm.cache import CachedModel, ResponseCache
from stages.llm.scripted_backend import ScriptedBackend

SCRIPT = """
import sys
from pathlib import Path
from stages.llm.cache import CachedModel
from stages.llm.scripted_backend import ScriptedBackend
model = CachedModel(ScriptedBackend(Path(), None))
print(model.choose([f"{n} обувь" for n in range(60)], ["обувь", "нет"], "x")[0].mass, model.asked)
"""


def test_answers_survive_kill_9(tmp_path):
    environment = os.environ | {"RAZMETKA_CACHE": str(tmp_path), "RAZMETKA_SCRIPTED_DELAY": "0.05"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment)
    path = tmp_path / "responses.sqlite"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and stored(path) < 5:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = stored(path)
    assert 5 <= before < 60
    again = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert int(again.stdout.split()[1]) == 60 - before
    assert stored(path) == 60


def test_an_empty_cache_that_is_given_is_the_one_in_use(tmp_path):
    cache = ResponseCache(tmp_path / "mine.sqlite")
    CachedModel(ScriptedBackend(Path(), None), cache).complete(["a"], [Sampling(5)], "x")
    assert len(cache) == 1


def stored(path: Path) -> int:
    try:
        with sqlite3.connect(path) as database:
            return database.execute("SELECT COUNT(*) FROM responses").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def test_key_covers_what_changes_an_answer(tmp_path):
    backend = ScriptedBackend(Path(), None)
    model = CachedModel(backend, ResponseCache(tmp_path / "a.sqlite"))
    model.complete(["a"], [Sampling(5)], "x")
    model.complete(["a"], [Sampling(5)], "x")
    assert model.asked == 1
    model.complete(["a"], [Sampling(5, seed=1)], "x")
    model.choose(["a"], ["b", "c"], "x")
    model.choose(["a"], ["b", "d"], "x")
    model.choose(["a"], ["b", "d"], "x", Sampling(5))
    backend.identity = "another model"
    model.choose(["a"], ["b", "d"], "x")
    assert model.asked == 6
    assert len(model.cache) == 6


def test_twenty_thousand_prompts_take_few_queries_and_are_asked_once_each(tmp_path):
    class Listing(ScriptedBackend):
        def choose(self, prompts, answers, reasoning=None):
            asked.extend(prompts)
            yield from reversed([*super().choose(prompts, answers, reasoning)])

    asked: list[str] = []
    prompts = [f"отзыв {number % 15_000} {'туфли' if number % 2 else 'сапоги'}" for number in range(20_000)]
    cache = ResponseCache(tmp_path / "a.sqlite")
    first = CachedModel(Listing(Path(), None), cache).choose(prompts, ["туфли", "сапоги"], "x")
    assert asked == list(dict.fromkeys(prompts))
    assert [choice.logprobs[0] > choice.logprobs[1] for choice in first] == ["туфли" in prompt for prompt in prompts]

    queries: list[str] = []
    cache.database._connection.set_trace_callback(queries.append)
    again = CachedModel(Listing(Path(), None), cache)
    assert again.choose(prompts, ["туфли", "сапоги"], "x") == first
    assert again.asked == 0
    assert sum(query.startswith("SELECT") for query in queries) == 30


def test_unknown_backend_is_named():
    from stages.running.errors import ConfigError

    with pytest.raises(ConfigError, match="'gpt' is not a backend; choose one of vllm, nli, openai, scripted"):
        open_backend("gpt", Path(), None)
