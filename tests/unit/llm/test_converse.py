"""How dialogues are kept open under an engine, with an engine that answers one request a step."""

from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.common.errors import BackendError
from stages.common.work import Weights, counted
from stages.llm.backend import Refusal, Sampling
from stages.llm.cache import CachedModel, ResponseCache
from stages.llm.vllm_backend import VllmBackend


class Written(int):
    """An output that can be added up."""

    token_ids = (7, 7, 7)


class OneAStep:
    """Finishes the oldest request at each step with the sum of its tokens."""

    def __init__(self):
        self.waiting = []
        self.most_waiting = 0
        self.aborted = []

    def add_request(self, request_id, prompt, params):
        self.waiting.append((request_id, prompt["prompt_token_ids"]))
        self.most_waiting = max(self.most_waiting, len(self.waiting))

    def step(self):
        request_id, tokens = self.waiting.pop(0)
        written = Written(sum(tokens))
        output = SimpleNamespace(request_id=request_id, finished=True, outputs=[written])
        return [SimpleNamespace(**vars(output), prompt_token_ids=tokens, num_cached_tokens=len(tokens) - 1)]

    def abort_request(self, ids):
        self.aborted = ids


@pytest.fixture
def backend():
    made = object.__new__(VllmBackend)
    made.settings = SimpleNamespace(max_num_seqs=2, max_model_len=50)
    made.folder, made.dtype = Path("teacher"), "float32"
    made.settings.tensor_parallel_size = 1
    made._numbers = iter(range(1000))
    made.__dict__["_weights"] = Weights(body=100, head=10)
    made.__dict__["_engine"] = OneAStep()
    return made


PARAMS = SimpleNamespace(max_tokens=1)


def two_turns(number):
    [first] = yield [([number], PARAMS)]
    outputs = yield [([first, 1], PARAMS), ([first, 2], PARAMS)]
    return outputs


def test_turns_of_a_dialogue_follow_each_other_and_parts_keep_their_order(backend):
    answers = dict(backend._converse(two_turns(number) for number in range(9)))
    assert answers == {number: [number + 1, number + 2] for number in range(9)}


def test_what_is_computed_is_counted(backend, monkeypatch):
    for name in ("fresh tokens", "written tokens", "GFLOP"):
        monkeypatch.setitem(counted, name, 0.0)
    list(backend._converse(two_turns(number) for number in range(9)))
    # Nine times a request and two after it: a fresh token each, three written ones of which the last is not read.
    assert counted["fresh tokens"] == 27
    assert counted["written tokens"] == 81
    assert counted["GFLOP"] == pytest.approx(2 * (100 * 27 * 3 + 10 * 81) / 1e9)


def test_no_more_dialogues_are_open_than_the_engine_holds_twice_over(backend):
    started = []

    def dialogue(number):
        started.append(number)
        return (yield [([number], PARAMS)])

    first = next(backend._converse(dialogue(number) for number in range(100)))
    assert first == (0, [0])
    assert len(started) == 4
    assert backend._engine.most_waiting == 4


def test_what_is_open_is_aborted_when_the_caller_stops(backend):
    answers = backend._converse(two_turns(number) for number in range(9))
    next(answers)
    answers.close()
    assert backend._engine.aborted


def test_prompts_that_do_not_fit_are_refused_before_the_first_question(backend):
    backend.__dict__["tokenizer"] = SimpleNamespace(encode=lambda text, add_special_tokens: text.split())
    samplings = [Sampling(10)] * 3
    answers = backend.complete(["а " * 41, "да", "б " * 99], samplings)
    refused = dict(islice(answers, 2))
    assert not backend._engine.most_waiting
    assert {index: type(answer) for index, answer in refused.items()} == {0: Refusal, 2: Refusal}
    words = "its prompt of 41 tokens and 10 for the answer are 51, and vllm.max_model_len=50: raise it"
    assert refused[0].reason.startswith(words)


def test_no_engine_starts_where_nothing_fits(backend):
    backend.__dict__["tokenizer"] = SimpleNamespace(encode=lambda text, add_special_tokens: text.split())
    del backend.__dict__["_engine"]
    for answers in (backend.complete(["а " * 99], [Sampling(1)]), backend.choose(["а " * 49], ["б в", "б г"])):
        assert [type(answer) for _, answer in answers] == [Refusal]


def test_an_engine_that_does_not_start_ends_the_run_in_one_line(backend, tmp_path, monkeypatch):
    backend.__dict__["tokenizer"] = SimpleNamespace(encode=lambda text, add_special_tokens: text.split())
    del backend.__dict__["_engine"]

    def broken(self):
        starts.append(1)
        raise OSError("model.safetensors: header\ntoo small")

    starts = []
    monkeypatch.setattr(VllmBackend, "_engine", property(broken))
    backend.name = backend.identity = "broken"
    model = CachedModel(backend, ResponseCache(tmp_path / "a.sqlite"))
    with pytest.raises(BackendError, match=r"vLLM does not start .*: model.safetensors: header too small$"):
        model.complete([str(number) for number in range(40)], [Sampling(1)] * 40, "x")
    assert len(starts) == 1
