"""How dialogues are kept open under an engine, with an engine that answers one request a step."""

from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stages.llm.backend import Refusal, Sampling
from stages.llm.cache import CachedModel, ResponseCache
from stages.llm.vllm_backend import VllmBackend
from stages.running.errors import BackendError, ConfigError
from stages.running.work import Weights, counted


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
    made.settings = SimpleNamespace(max_num_seqs=2, max_model_len=50, device="cuda")
    made.folder, made.dtype = Path("teacher"), "float32"
    made.settings.tensor_parallel_size = 1
    made._numbers = iter(range(1000))
    made.__dict__["_weights"] = Weights(body=100, head=10)
    made.__dict__["_engine"] = OneAStep()
    return made


PARAMS = SimpleNamespace(max_tokens=1)
# A token a word.
WORDS = SimpleNamespace(encode=lambda text, add_special_tokens: [sum(word.encode()) for word in text.split()])


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
    backend.__dict__["tokenizer"] = WORDS
    samplings = [Sampling(10)] * 3
    answers = backend.complete(["а " * 41, "да", "б " * 99], samplings)
    refused = dict(islice(answers, 2))
    assert not backend._engine.most_waiting
    assert {index: type(answer) for index, answer in refused.items()} == {0: Refusal, 2: Refusal}
    words = "its prompt of 41 tokens and 10 for the answer are 51, and vllm.max_model_len=50: raise it"
    assert refused[0].reason.startswith(words)


def test_no_engine_starts_where_nothing_fits(backend):
    backend.__dict__["tokenizer"] = WORDS
    del backend.__dict__["_engine"]
    for answers in (backend.complete(["а " * 99], [Sampling(1)]), backend.choose(["а " * 49], ["б в", "б г"])):
        assert [type(answer) for _, answer in answers] == [Refusal]


def test_an_engine_that_does_not_start_ends_the_run_in_one_line(backend, tmp_path, monkeypatch):
    backend.__dict__["tokenizer"] = WORDS
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


def no_card_free():
    """vLLM's own refusal where something else holds the card's memory."""
    from vllm.utils.mem_utils import MemorySnapshot
    from vllm.v1.worker.utils import request_memory

    snapshot = MemorySnapshot(device="cpu", auto_measure=False, free_memory=2**32, total_memory=2**34)
    request_memory(snapshot, SimpleNamespace(gpu_memory_utilization=0.8))


def no_cache(available):
    """vLLM's own refusals where the weights leave nothing for the cache, or not enough for one prompt."""
    from vllm.v1.core.kv_cache_utils import _check_enough_kv_cache_memory

    _check_enough_kv_cache_memory(available, lambda: 2**30, 2560, lambda memory: 1200)


def out_of_memory():
    raise torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 1.45 GiB. GPU 0 has a total capacity of 14.56 GiB"
    )


@pytest.mark.parametrize(
    ("shortage", "reason", "helps"),
    [
        (no_card_free, "Free memory on device", "end what else runs on the card, or lower vllm.gpu_memory_utilization"),
        (lambda: no_cache(0), "No available memory", "raise vllm.gpu_memory_utilization, or choose a smaller model"),
        (
            lambda: no_cache(2**29),
            "To serve at least one",
            "raise vllm.gpu_memory_utilization, lower vllm.max_model_len",
        ),
        (out_of_memory, "CUDA out of memory", "lower vllm.max_num_seqs and vllm.max_num_batched_tokens"),
    ],
    ids=["another program", "no cache", "small cache", "torch"],
)
def test_a_card_without_room_for_the_engine_is_told_with_what_helps(shortage, reason, helps, backend, monkeypatch):
    backend.__dict__["tokenizer"] = WORDS
    del backend.__dict__["_engine"]
    monkeypatch.setattr(VllmBackend, "_engine", property(lambda self: shortage()))
    with pytest.raises(BackendError) as told:
        next(backend.complete(["да"], [Sampling(1)]))
    message = str(told.value)
    assert message.startswith(
        "vLLM does not start with the `vllm:` settings of params.yaml: the graphics card's memory"
    )
    assert f"({reason}" in message
    assert f"): {helps}" in message


def test_a_card_that_is_full_in_the_middle_ends_the_run_and_keeps_what_was_answered(backend, tmp_path, monkeypatch):
    backend.__dict__["tokenizer"] = WORDS
    monkeypatch.setattr(VllmBackend, "_start", lambda self: None)
    monkeypatch.setattr(VllmBackend, "_foretell", lambda *given: None)
    engine, step = backend._engine, OneAStep.step

    def filling(self):
        finished.append(1)
        return step(self) if len(finished) < 4 else out_of_memory()

    finished = []
    monkeypatch.setattr(OneAStep, "step", filling)
    monkeypatch.setattr(VllmBackend, "_encode", lambda self, text: [int(text)])
    monkeypatch.setattr(Written, "cumulative_logprob", -1.0, raising=False)
    monkeypatch.setattr(Written, "text", "ответ", raising=False)
    backend.name = backend.identity = "full"
    model = CachedModel(backend, ResponseCache(tmp_path / "a.sqlite"))
    with pytest.raises(ConfigError, match=r"\(CUDA out of memory\): lower vllm.max_num_seqs"):
        model.complete([str(number) for number in range(8)], [Sampling(1)] * 8, "x")
    # The rest is not asked for in halves.
    assert len(finished) == 4
    assert len(model.cache) == 3
    assert engine.aborted
