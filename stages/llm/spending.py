"""What the answers of servers took: requests, tokens, and their price."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import pandas as pd

from stages.llm.config import Price, Server

COLUMNS = [
    "stage", "role", "model", "probabilities", "requests", "prompt_tokens", "cached_tokens", "written_tokens", "cost",
]  # fmt: skip


@dataclass(frozen=True)
class Spent:
    """What a server counted for answers: requests, and tokens; `cached` of those of the prompts it had computed."""

    requests: int = 0
    prompt: int = 0
    cached: int = 0
    written: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))


def spending(stages: Mapping[str, Mapping[str, Spent]], servers: Mapping[str, Server | None]) -> pd.DataFrame:
    """A row for each stage and role that a server answered, of the `servers` by role.

    Counted are all answers that a stage used, those too that were stored before: what they took when they were asked,
    at the price of now (`cost`, nan without one). Questions that got no answer are not among them.
    """
    rows = [
        (stage, role, server.model, server.probabilities, spent.requests, spent.prompt, spent.cached, spent.written,
         cost(spent, server.price))
        for stage, roles in stages.items()
        for role, spent in roles.items()
        if (server := servers[role])
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def cost(spent: Spent, price: Price | None) -> float:
    """What the tokens cost; nan where no price is known."""
    if price is None:
        return math.nan
    fresh = spent.prompt - spent.cached
    return round((fresh * price.prompt + spent.cached * price.cached + spent.written * price.written) / 1e6, 6)
