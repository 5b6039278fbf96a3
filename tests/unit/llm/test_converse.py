"""How dialogues are kept open under an engine, with an engine that answers one request a step."""

from types import SimpleNamespace

import pytest

from stages.common.errors import BackendError
from stages.llm.vllm_backend import VllmBackend


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
        return [SimpleNamespace(request_id=request_id, finished=True, outputs=[sum(tokens)])]

    def abort_request(self, ids):
        self.aborted = ids


@pytest.fixture
def backend():
    made = object.__new__(VllmBackend)
    made.settings = SimpleNamespace(max_num_seqs=2, max_model_len=50)
    made._numbers = iter(range(1000))
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


def test_a_prompt_that_does_not_fit_says_which_setting(backend):
    def dialogue():
        yield [([1] * 50, PARAMS)]

    with pytest.raises(BackendError, match=r"50 tokens \+ 1 to write exceeds vllm.max_model_len=50"):
        dict(backend._converse([dialogue()]))
