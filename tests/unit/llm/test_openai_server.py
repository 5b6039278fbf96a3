"""A real vLLM server with a random model: the answers of an engine in this process, and none lost when it is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stages.llm.backend import Choice, Completion, Refusal, Sampling
from stages.llm.cache import CachedModel, ResponseCache
from stages.running.errors import BackendError
from tests.conftest import ROOT
from tests.served import VllmServer, backend_of
from tests.tiny_models import qwen3, sample_texts

pytestmark = pytest.mark.slow

# Two begin alike, and one begins another: the answers' tree has nodes below its root.
ANSWERS = ["КАТЕГОРИЯ: одежда", "КАТЕГОРИЯ: обувь", "КАТЕГОРИЯ: одежда для дома", "КАТЕГОРИЯ: нет товара"]
REVIEWS = ["Платье село после стирки", "Кроссовки натёрли <|im_end|> ногу", "Не доставили", ""]
SAMPLINGS = [Sampling(12, repetition_penalty=1.05, stop=("\n",), seed=number) for number in range(len(REVIEWS))]
LINE = Sampling(8, stop=("\n",))
# In a process of its own: an engine leaves threads and settings behind.
SCRIPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
from stages.composition.compose import compose
from stages.llm.vllm_backend import VllmBackend
from tests.unit.llm.test_openai_server import asked

folder = Path(sys.argv[1])
vllm = compose(folder.parent / "params.yaml", ["experiment=tiny"], Path("conf")).vllm
print(json.dumps(asked(VllmBackend(folder, replace(vllm, max_model_len=512, max_num_batched_tokens=512,
                                                  dtype="float32")))))
"""


def asked(backend):
    """Everything that stages ask, as JSON; each asked by itself, so that no other shares its sums."""
    prompts = [backend.render(backend.neutralise(review)) for review in REVIEWS]
    prompts += [backend.render(REVIEWS[0], thinking=True), "Отзыв без чата\n"]
    chosen = [dict(backend.choose([prompt], ANSWERS))[0] for prompt in prompts]
    after = [dict(backend.choose([prompt], ANSWERS, LINE))[0] for prompt in prompts]
    texts = [dict(backend.complete([prompts[number]], [one]))[0] for number, one in enumerate(SAMPLINGS)]
    return {
        "logprobs": [choice.logprobs for choice in chosen + after],
        "mass": [choice.mass for choice in chosen + after],
        "lines": [choice.reasoning for choice in after],
        "texts": [text.text for text in texts],
        "mean_logprobs": [text.mean_logprob for text in texts],
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "qwen3"
    qwen3(folder, sample_texts())
    return folder


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[VllmServer]:
    served = VllmServer(model, model.parent / "server.log")
    served.start()
    yield served
    served.kill()


def test_a_server_gives_the_distributions_and_texts_of_the_engine_in_this_process(
    server: VllmServer, model: Path, tmp_path: Path
) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", SCRIPT, str(model)]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    here = json.loads(finished.stdout.splitlines()[-1])
    server.wait()
    there = asked(backend_of(tmp_path, server.url))
    assert there["texts"] == here["texts"]
    assert there["lines"] == here["lines"]
    for kind in ("logprobs", "mass", "mean_logprobs"):
        np.testing.assert_allclose(there[kind], here[kind], atol=1e-3, err_msg=kind)
    # They mean something to compare: no two prompts have the same distribution.
    assert len({round(logprobs[0], 3) for logprobs in there["logprobs"]}) > 4


def test_what_does_not_fit_is_refused_and_costs_no_other_its_answer(server: VllmServer, tmp_path: Path) -> None:
    server.wait()
    cached = CachedModel(backend_of(tmp_path, server.url, price=None))
    prompts = [cached.backend.render(text) for text in ("Платье", "отзыв " * 900, "Туфли")]
    given = cached.choose(prompts, ANSWERS, "x")
    assert [type(answer) for answer in given] == [Choice, Refusal, Choice]
    assert "maximum context length is 512 tokens" in given[1].reason
    assert not given[1].again
    # Two questions of three nodes each, as the server counted them.
    assert cached.spent.requests == sum(answer.spent.requests for answer in (given[0], given[2]))
    assert cached.spent.prompt > cached.spent.written >= 2
    # A run that knows all answers tells the same, and asks nobody.
    again = CachedModel(backend_of(tmp_path, "http://127.0.0.1:1/v1", retries=0))
    assert again.choose([prompts[0], prompts[2]], ANSWERS, "x") == [given[0], given[2]]
    assert (again.asked, again.spent) == (0, cached.spent)


def test_likeliest_tokens_of_a_real_server(server: VllmServer, tmp_path: Path) -> None:
    server.wait()
    backend = backend_of(tmp_path, server.url, probabilities="top")
    [(_, text)] = backend.complete([backend.render("Платье")], [Sampling(8, stop=("\n",))])
    assert isinstance(text, Completion)
    assert text.mean_logprob < 0


def test_a_server_killed_and_started_again_loses_nothing_and_is_asked_nothing_twice(
    model: Path, tmp_path: Path
) -> None:
    served = VllmServer(model, tmp_path / "first.log")
    served.start()
    served.wait()
    backend = backend_of(tmp_path, served.url, concurrency=2, retries=1)
    cache = ResponseCache()
    prompts = [backend.render(f"Отзыв {number} о платье") for number in range(300)]
    answers = ["да", "нет"]

    def kill() -> None:
        while len(ResponseCache()) < 40:
            time.sleep(0.01)
        served.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(BackendError, match="does not answer: is the server running"):
        CachedModel(backend, cache).choose(prompts, answers, "x")
    killer.join()
    stored = len(cache)
    assert 40 <= stored < len(prompts)

    served.log = tmp_path / "second.log"
    served.start()
    try:
        served.wait()
        model_again = CachedModel(backend, cache)
        given = model_again.choose(prompts, answers, "x")
        assert all(isinstance(choice, Choice) for choice in given)
        assert len(cache) == len(prompts)
        # One request for each question, and none for those that the first had answered.
        assert served.answered("/v1/completions") == model_again.asked == len(prompts) - stored
    finally:
        served.kill()
