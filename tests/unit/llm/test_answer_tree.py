"""The token tree behind a constrained choice, by hand."""

import math

import pytest

from stages.llm.answer_tree import answer_logprobs, branching_nodes


def test_one_node_where_the_first_token_tells_all_apart():
    assert branching_nodes([[7, 1, 9], [7, 2, 9], [7, 3, 3, 9]]) == {(7,): [1, 2, 3]}


def test_an_answer_that_begins_another_is_told_apart_by_its_end():
    answers = [[1, 9], [1, 2, 9], [3, 9]]
    nodes = branching_nodes(answers)
    assert nodes == {(): [1, 3], (1,): [2, 9]}
    found = {(): {1: math.log(0.3), 3: math.log(0.1)}, (1,): {2: math.log(0.2), 9: math.log(0.6)}}
    *logprobs, mass = answer_logprobs(answers, found)
    # 0.3/0.4 goes to the first token 1, of which 0.6/0.8 end at once.
    assert [math.exp(value) for value in logprobs] == pytest.approx([0.75 * 0.75, 0.75 * 0.25, 0.25])
    assert mass == pytest.approx(0.4)
