"""What vLLM is said to have computed, by vLLM itself, on a random model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.running.work import language_model
from stages.weights.config import Model
from stages.weights.resolve import resolve
from tests.conftest import ROOT
from tests.tiny_models import qwen3, sample_texts

# In a process of its own: an engine leaves threads and settings behind.
SCRIPT = """
import json, sys
from collections import Counter
from pathlib import Path
from stages.running.work import counted
from stages.composition.compose import compose
from stages.llm.backend import Sampling
from stages.llm.vllm_backend import VllmBackend

folder = Path(sys.argv[1])
backend = VllmBackend(folder, compose(folder.parent / "params.yaml", ["experiment=tiny"], Path("conf")).vllm)
prompts = ["отзыв " * 120 + str(number) for number in range(3)]
tokens = [len(backend._encode(prompt)) for prompt in prompts]
encoded, encode = Counter(), backend.tokenizer.encode
backend.tokenizer.encode = lambda text, **options: encoded.update([text]) or encode(text, **options)
list(backend.complete(prompts[:1], [Sampling(5)]))
first = dict(counted)
list(backend.complete(prompts[1:], [Sampling(5), Sampling(5)]))
block = backend._engine.vllm_config.cache_config.block_size
told = {"tokens": tokens, "block": block, "first": first, "all": dict(counted)}
told["encoded"] = [dict(encoded)]
for line in None, Sampling(4):
    encoded.clear()
    list(backend.choose(prompts, ["да", "нет"], line))
    told["encoded"].append(dict(encoded))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("usage")
    qwen3(made / "made", sample_texts())
    resolve(Model(name="qwen3", source="path", license="MIT", path=str(made / "made")), made / "qwen3")
    return made / "qwen3"


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


def test_a_prompt_is_encoded_once_however_often_its_tokens_are_of_use(told: dict[str, Any]) -> None:
    for encoded in told["encoded"]:
        assert set(encoded.values()) == {1}
    completed, chosen, after_a_line = (set(encoded) for encoded in told["encoded"])
    assert len(completed) == 3
    # Answers are encoded as well, and with a line of reasoning the prompt that ends in it.
    assert chosen == completed | {"да\n", "нет\n"}
    assert {text for text in after_a_line - chosen if text.startswith("отзыв ")} == after_a_line - chosen
    assert 1 <= len(after_a_line - chosen) <= 3


def test_fresh_and_written_tokens_are_those_that_the_engine_computed(told: dict[str, Any], folder: Path) -> None:
    block, tokens, first = told["block"], told["tokens"], told["first"]
    assert tokens[0] > 2 * block
    # Nothing was in the cache before, then whole blocks of what the prompts have in common.
    assert first["fresh tokens"] == tokens[0]
    shared = (tokens[0] - 1) // block * block
    assert told["all"]["fresh tokens"] == tokens[0] + tokens[1] + tokens[2] - 2 * shared
    assert 1 <= first["written tokens"] <= 5
    operations = language_model(folder).operations(tokens[0] + first["written tokens"] - 1, first["written tokens"])
    assert first["GFLOP"] * 1e9 == operations
