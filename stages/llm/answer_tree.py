"""The answers to a choice as a tree of tokens: where they part, and what probabilities there make of each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def branching_nodes(answers: Sequence[Sequence[int]]) -> dict[tuple[int, ...], list[int]]:
    """Map each branching node of the answers' token tree (its path from the root) to its children's tokens."""
    children: dict[tuple[int, ...], set[int]] = {}
    for tokens in answers:
        for position, token in enumerate(tokens):
            children.setdefault(tuple(tokens[:position]), set()).add(token)
    return {node: sorted(tokens) for node, tokens in children.items() if len(tokens) > 1}


def answer_logprobs(answers: Sequence[Sequence[int]], nodes: dict[tuple[int, ...], dict[int, float]]) -> list[float]:
    """Log-probabilities of the answers from raw log-probabilities at the branching nodes, and the first node's mass."""
    totals = {
        node: math.log(sum(math.exp(value) for value in children.values()) or 1e-300)
        for node, children in nodes.items()
    }
    logprobs = [
        sum(
            nodes[node][token] - totals[node]
            for position, token in enumerate(tokens)
            if (node := tuple(tokens[:position])) in nodes
        )
        for tokens in answers
    ]
    first = min(nodes, key=len)
    return [*logprobs, math.exp(totals[first])]
