"""What vLLM is said to have computed, by vLLM itself, on a random model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from stages.common.work import language_model
from stages.weights.config import Model
from stages.weights.resolve import resolve
from tests.conftest import ROOT
from tests.tiny_models import qwen3, sample_texts

# In a process of its own: an engine leaves threads and settings behind.
SCRIPT = """
import json, sys
from pathlib import Path
from stages.common.work import counted
from stages.composition.compose import compose
from stages.llm.backend import Sampling
from stages.llm.vllm_backend import VllmBackend

folder = Path(sys.argv[1])
backend = VllmBackend(folder, compose(folder.parent / "params.yaml", ["experiment=tiny"], Path("conf")).vllm)
prompts = ["отзыв " * 120 + str(number) for number in range(3)]
tokens = [len(backend._encode(prompt)) for prompt in prompts]
list(backend.complete(prompts[:1], [Sampling(5)]))
first = dict(counted)
list(backend.complete(prompts[1:], [Sampling(5), Sampling(5)]))
block = backend._engine.vllm_config.cache_config.block_size
print(json.dumps({"tokens": tokens, "block": block, "first": first, "all": dict(counted)}))
"""


def test_fresh_and_written_tokens_are_those_that_the_engine_computed(tmp_path: Path) -> None:
    qwen3(tmp_path / "made", sample_texts())
    folder = tmp_path / "qwen3"
    resolve(Model(name="qwen3", source="path", license="MIT", path=str(tmp_path / "made")), folder)
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    told = json.loads(finished.stdout.splitlines()[-1])

    block, tokens, first = told["block"], told["tokens"], told["first"]
    assert tokens[0] > 2 * block
    # Nothing was in the cache before, then whole blocks of what the prompts have in common.
    assert first["fresh tokens"] == tokens[0]
    shared = (tokens[0] - 1) // block * block
    assert told["all"]["fresh tokens"] == tokens[0] + tokens[1] + tokens[2] - 2 * shared
    assert 1 <= first["written tokens"] <= 5
    operations = language_model(folder).operations(tokens[0] + first["written tokens"] - 1, first["written tokens"])
    assert first["GFLOP"] * 1e9 == operations
