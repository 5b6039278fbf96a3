"""Work that is counted, in tokens and operations: the same on every machine, as seconds are not."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stages.running.peak import matmul_rate, memory_rate

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

# Shares of the measured peaks that a language model's layers reach: their products are narrower than a square and have
# attention, norms and sampling between them.
MATMUL_SHARE, MEMORY_SHARE = 0.5, 0.8
# Seconds from which on work is worth a line of its own.
LONG = 10.0

# What this process, which is one stage, has done: "answers", "fresh tokens", "GFLOP" and the like.
counted: defaultdict[str, float] = defaultdict(float)


@dataclass(frozen=True)
class Weights:
    """`body`: weights that every token meets, embeddings apart; `head`: those that give the next token's logits."""

    body: int
    head: int = 0

    def operations(self, tokens: float, logits: float = 0) -> float:
        """Operations of `tokens` that go through the body, and of the logits after some of them.

        Two for each weight (Kaplan et al. 2020, arXiv 2001.08361, section 2.1); attention, a few per cent, is left out.
        """
        return 2 * (self.body * tokens + self.head * logits)


@dataclass(frozen=True)
class Expected:
    """What a language model is about to do: read `fresh` tokens of prompts, then write `at_a_time` texts at once.

    `written` counts the tokens of all answers but the first of each text, which reading its prompt gives.
    """

    weights: Weights
    answers: int
    fresh: float
    written: float
    at_a_time: int

    def seconds(self, dtype: str, processors: int = 1) -> float:
        """Seconds on this machine, without the engine's start.

        The prompts' operations at the measured rate of products, and a step for each token that `at_a_time` texts are
        written by: the weights read at the measured rate of memory, or the operations, whichever takes longer.
        """
        import torch

        rate = processors * MATMUL_SHARE * matmul_rate(dtype)
        memory = processors * MEMORY_SHARE * memory_rate()
        at_a_time = max(1, min(self.at_a_time, self.answers))
        itemsize: int = getattr(torch, dtype).itemsize
        weights = (self.weights.body + self.weights.head) * itemsize
        step = max(weights / memory, self.weights.operations(at_a_time, logits=at_a_time) / rate)
        reading = self.weights.operations(self.fresh, logits=self.answers) / rate
        return reading + self.written / at_a_time * step


@dataclass
class Usage:
    """What a model did in one go: its pieces, called `unit`, and their tokens.

    `fresh` were read and in no cache, `written` drawn; `passed` went through the body.
    """

    weights: Weights
    unit: str
    pieces: int = 0
    fresh: int = 0
    written: int = 0
    passed: int = 0

    def add(self, fresh: int, written: int = 0) -> None:
        """Count a request: tokens of its prompt that were not in a cache, and tokens written."""
        self.fresh += fresh
        self.written += written
        # The last token of a text is written and not read.
        self.passed += fresh + max(0, written - 1)

    @property
    def operations(self) -> float:
        """Operations so far; logits are made for written tokens alone."""
        return self.weights.operations(self.passed, logits=self.written)

    def tell(self, who: str, seconds: float, dtype: str, processors: int = 1) -> None:
        """Add it to what this stage counts; where it was long, log the tokens and operations of a piece."""
        counted["fresh tokens"] += self.fresh
        counted["written tokens"] += self.written
        counted["GFLOP"] += self.operations / 1e9
        counted["answering seconds"] += seconds
        if seconds < LONG or not self.pieces:
            return
        fresh, written, giga = (total / self.pieces for total in (self.fresh, self.written, self.operations / 1e9))
        tokens = f"{fresh:.1f} fresh + {written:.1f} written" if written else f"{fresh:.1f} fresh"
        share = self.operations / seconds / (processors * matmul_rate(dtype))
        logger.info("%s: %d %s of %s tokens and %.3g GFLOP each", who, self.pieces, self.unit, tokens, giga)
        logger.info("%s: %.0f s, %.0f%% of what this machine's measured peak allows", who, seconds, 100 * share)


def language_model(folder: Path) -> Weights:
    """The weights of a causal language model in `folder`, from its configuration alone."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))  # type: ignore[no-untyped-call]
    words, output = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    tied = 0 if words is output else output.numel()
    return Weights(body=_size(model) - words.numel() - tied, head=output.numel())


def encoder(folder: Path) -> Weights:
    """The weights of the encoder in `folder`, from the headers of its files.

    Tables that are looked up, such as positions, and heads that it was pretrained with are no weights that a token
    meets.
    """
    from safetensors import safe_open

    body = 0
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "np") as opened:
            for name in opened.keys():  # noqa: SIM118  # it is no mapping
                shape = opened.get_slice(name).get_shape()
                is_table = "embed" in name and len(shape) > 1
                if not is_table and not name.startswith(("lm_head", "cls.", "classifier", "pooler", "shared")):
                    body += math.prod(shape)
    return Weights(body)


def fresh_tokens(prompts: list[list[int]], block: int) -> int:
    """Tokens of `prompts` that no prefix cache of `block` tokens a block would give, asked one after the other."""
    seen: set[tuple[int, ...]] = set()
    fresh = 0
    for tokens in prompts:
        # The last token is always computed: its logits are the answer.
        starts = [tuple(tokens[:end]) for end in range(block, len(tokens), block)]
        known = next((number for number, start in enumerate(starts) if start not in seen), len(starts))
        seen.update(starts[known:])
        fresh += len(tokens) - known * block
    return fresh


def _size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
