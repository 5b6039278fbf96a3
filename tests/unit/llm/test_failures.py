"""What becomes of prompts whose answers are unsound or do not come, and of answers that became unsound in the store."""

import json
import math
import sqlite3
from pathlib import Path

import pytest

from stages.llm.backend import Choice, Completion, Refusal, Sampling
from stages.llm.cache import CachedModel, ResponseCache
from stages.llm.scripted_backend import ScriptedBackend
from stages.running.errors import BackendError

EVEN = [math.log(0.5), math.log(0.5)]
UNSOUND = {
    "nan": Choice("", [math.nan, 0.0], 1.0),
    "infinite": Choice("", [0.0, -math.inf], 1.0),
    "huge": Choice("", [1e9, 0.0], 1.0),
    "off": Choice("", [-1.0, -2.0], 1.0),
    "short": Choice("", [0.0], 1.0),
    "empty": Choice("", [], 1.0),
    "mass": Choice("", EVEN, 7.0),
    "words": Choice("", ["много", "мало"], 1.0),
    "nothing": None,
    "text": Completion("обувь", -1.0),
}
NOT_A_NUMBER = json.dumps({"reasoning": "", "logprobs": [math.nan, 0.0], "mass": 1.0})
STORED_BADLY = ["", "{", "null", "[]", '{"reasoning": ""}', NOT_A_NUMBER, b'{"\xff\xfe": 1}']


class Failing(ScriptedBackend):
    """Fails on the prompts in `bad` until it was asked them `patience` times; by its answer, or as `way` says."""

    def __init__(self, bad, way, patience=99):
        super().__init__(Path(), None)
        self.bad, self.way, self.patience = bad, way, patience
        self.asked: dict[str, int] = {}

    def choose(self, prompts, answers, reasoning=None):
        for index, choice in super().choose(prompts, answers, reasoning):
            prompt = prompts[index]
            self.asked[prompt] = self.asked.get(prompt, 0) + 1
            if prompt not in self.bad or self.asked[prompt] > self.patience:
                yield index, choice
            elif self.way == "raises":
                raise RuntimeError("out of\nmemory")
            elif self.way != "silent":
                yield index, UNSOUND[self.way]


PROMPTS = [f"{number} обувь" for number in range(50)]
BAD = {PROMPTS[0], PROMPTS[17], PROMPTS[18], PROMPTS[49]}


def asked(backend, path, prompts=PROMPTS):
    model = CachedModel(backend, ResponseCache(path))
    return dict(zip(prompts, model.choose(prompts, ["обувь", "нет"], "x"), strict=True)), model


@pytest.mark.parametrize("way", [*UNSOUND, "raises", "silent"])
def test_a_failure_on_some_prompts_is_theirs_alone_and_never_stored(way, tmp_path):
    backend = Failing(BAD, way)
    answers, model = asked(backend, tmp_path / "a.sqlite")
    assert {prompt for prompt, answer in answers.items() if isinstance(answer, Refusal)} == BAD
    assert len(model.cache) == len(PROMPTS) - len(BAD)
    assert {backend.asked[prompt] for prompt in PROMPTS if prompt not in BAD} == {1}
    # The next run asks for these alone.
    again, model = asked(ScriptedBackend(Path(), None), tmp_path / "a.sqlite")
    assert model.asked == len(BAD)
    assert all(isinstance(answer, Choice) for answer in again.values())


@pytest.mark.parametrize("way", ["nan", "raises", "silent"])
def test_a_failure_that_passes_is_asked_over(way, tmp_path):
    answers, model = asked(Failing(BAD, way, patience=1), tmp_path / "a.sqlite")
    assert all(isinstance(answer, Choice) for answer in answers.values())
    assert len(model.cache) == len(PROMPTS)


@pytest.mark.parametrize("way", ["nan", "raises", "silent"])
def test_a_backend_that_only_fails_ends_the_run_in_one_line(way, tmp_path):
    backend = Failing(PROMPTS, way)
    with pytest.raises(BackendError, match=r"the model failed 20 times in a row, at last so: [^\n]+$"):
        asked(backend, tmp_path / "a.sqlite")
    assert sum(backend.asked.values()) < 3 * len(PROMPTS)


def test_many_hopeless_prompts_are_not_taken_for_a_broken_backend(tmp_path):
    prompts = [f"{number} обувь" for number in range(2000)]
    bad = set(prompts[::20])
    answers, _ = asked(Failing(bad, "nan"), tmp_path / "a.sqlite", prompts)
    assert {prompt for prompt, answer in answers.items() if isinstance(answer, Refusal)} == bad


def test_a_setting_that_cannot_work_is_said_at_once(tmp_path):
    class Mute(ScriptedBackend):
        calls = 0

        def complete(self, prompts, samplings):
            Mute.calls += 1
            raise BackendError("cannot write")

    with pytest.raises(BackendError, match="cannot write"):
        CachedModel(Mute(Path(), None), ResponseCache(tmp_path / "a.sqlite")).complete(["a"], [Sampling(5)], "x")
    assert Mute.calls == 1


@pytest.mark.parametrize("stored", STORED_BADLY)
def test_a_stored_answer_that_is_unsound_is_asked_again_and_replaced(stored, tmp_path, caplog):
    path = tmp_path / "a.sqlite"
    first, _ = asked(ScriptedBackend(Path(), None), path)
    with sqlite3.connect(path) as database:
        (key,) = database.execute("SELECT key FROM responses LIMIT 1").fetchone()
        database.execute("UPDATE responses SET answer = CAST(? AS TEXT) WHERE key = ?", [stored, key])
    again, model = asked(ScriptedBackend(Path(), None), path)
    assert model.asked == 1
    assert again == first
    assert caplog.text.count("1 stored answers are unsound") == 1
    assert asked(ScriptedBackend(Path(), None), path)[1].asked == 0


def test_an_unsound_completion_is_not_stored(tmp_path):
    class Unsure(ScriptedBackend):
        def complete(self, prompts, samplings):
            yield from ((index, Completion("текст", math.nan)) for index in range(len(prompts)))

    model = CachedModel(Unsure(Path(), None), ResponseCache(tmp_path / "a.sqlite"))
    (answer,) = model.complete(["a"], [Sampling(5)], "x")
    assert isinstance(answer, Refusal)
    assert len(model.cache) == 0


def test_a_lone_surrogate_in_a_prompt_is_no_obstacle(tmp_path):
    answers, model = asked(ScriptedBackend(Path(), None), tmp_path / "a.sqlite", ["обувь \ud83d"])
    assert len(model.cache) == 1
    assert isinstance(answers["обувь \ud83d"], Choice)
