"""What a language model would answer with one token, as a head over categories.

To choose among the first tokens of the categories' names is to multiply the last token's state by their rows of the
model's LM head: a linear head, as every student has one. It is the constrained choice that the teacher makes
(`stages/llm/answer_tree.py`), cut after its first step.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from stages.inference.head import Head
from stages.running.config import require


def is_language_model(config: Any) -> bool:
    """Whether the folder of this configuration has an LM head."""
    return any(name.endswith("ForCausalLM") for name in config.architectures or [])


def first_tokens(tokenizer: PreTrainedTokenizerBase, suffix: str, label_names: Sequence[str]) -> list[int]:
    """The id of the token that begins each name where it is written after `suffix`.

    Raises:
        ConfigError: two names begin with the same one, or one with a token that `suffix` ends in.
    """

    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return found

    remedy = "end train.suffix otherwise, or set train.linear_probe, which starts the head from a regression"
    before = ids(suffix)
    space = "" if not suffix or suffix[-1].isspace() else " "
    names_by_token: dict[int, str] = {}
    for name in label_names:
        whole = ids(f"{suffix}{space}{name}")
        apart = whole[: len(before)] == before
        require(apart, f"train.suffix={suffix!r} and {name!r} after it have a token in common; {remedy}")
        other = names_by_token.setdefault(whole[len(before)], name)
        require(other == name, f"after train.suffix={suffix!r} {other!r} and {name!r} begin with one token; {remedy}")
    return list(names_by_token)


def language_head(folder: Path, tokens: Sequence[int]) -> Head:
    """The rows of `tokens` in the LM head of the model in `folder`, with biases of 0."""
    whole = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    weights = whole.get_output_embeddings().weight  # type: ignore[no-untyped-call]
    return Head(weights[list(tokens)].detach().float(), torch.zeros(len(tokens)))
