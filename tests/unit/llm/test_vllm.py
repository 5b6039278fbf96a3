"""What vLLM itself makes of prompts that it cannot answer, on a random model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tests.conftest import ROOT
from tests.tiny_models import qwen3, sample_texts

# In a process of its own: an engine leaves threads and settings behind.
SCRIPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
from stages.composition.compose import compose
from stages.llm.backend import Sampling
from stages.llm.cache import CachedModel
from stages.llm.vllm_backend import VllmBackend

folder = Path(sys.argv[1])
vllm = compose(folder.parent / "params.yaml", ["experiment=tiny"], Path("conf")).vllm
backend = VllmBackend(folder, replace(vllm, max_model_len=512, max_num_batched_tokens=512))
model = CachedModel(backend)
fits = [f"отзыв {number}" for number in range(6)]
# Too long, and without a token: the first is refused, the second makes vLLM raise.
prompts = [*fits[:3], "Отзыв " * 900, "", *fits[3:]]
line = Sampling(4, stop=("\\n",))
given = {
    "completed": model.complete(prompts, [Sampling(4)] * len(prompts), "x"),
    "chosen": model.choose(prompts, ["да", "нет"], "x"),
    "after a line": model.choose(prompts, ["да", "нет"], "x", line),
}
reasons = {kind: [getattr(answer, "reason", "") for answer in answers] for kind, answers in given.items()}
from vllm import envs
nvcc = [envs.VLLM_USE_FLASHINFER_SAMPLER, envs.VLLM_USE_DEEP_GEMM]
print(json.dumps({"reasons": reasons, "nvcc": nvcc}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("vllm")
    qwen3(folder / "qwen3", sample_texts())
    command = [sys.executable, "-c", SCRIPT, str(folder / "qwen3")]
    environment = os.environ | {"RAZMETKA_CACHE": str(folder / "cache")}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


def test_nothing_is_left_on_that_nvcc_would_compile_on_a_card(told: dict[str, Any]) -> None:
    assert told["nvcc"] == [False, False]


def test_a_prompt_that_vllm_cannot_take_costs_no_other_its_answer(told: dict[str, Any]) -> None:
    for kind, reasons in told["reasons"].items():
        assert reasons[:3] == reasons[5:] == ["", "", ""], kind
        assert "vllm.max_model_len=512: raise it" in reasons[3]
        assert reasons[4].startswith("the model failed: ") or kind == "after a line", reasons[4]


LOGITS = """
import json, sys
from dataclasses import replace
from pathlib import Path
from stages.composition.compose import compose
from stages.llm.vllm_backend import VllmBackend

folder = Path(sys.argv[1])
vllm = compose(folder.parent / "params.yaml", ["experiment=tiny"], Path("conf")).vllm
backend = VllmBackend(folder, replace(vllm, dtype="bfloat16", head_dtype=sys.argv[2], max_num_seqs=4))
prompts = [f"отзыв номер {number} о платье" for number in range(30)]
print(json.dumps([choice.logprobs for _, choice in backend.choose(prompts, ["да", "нет"])]))
"""


@pytest.mark.slow
def test_a_head_in_float32_tells_apart_what_half_precision_rounds_to_the_same_step(tmp_path: Path) -> None:
    qwen3(tmp_path / "qwen3", sample_texts())
    weights = load_file(tmp_path / "qwen3/model.safetensors")
    # Logits as large as those of a real model.
    save_file(weights | {"lm_head.weight": 10 * weights["lm_head.weight"]}, tmp_path / "qwen3/model.safetensors")

    def on_a_step(head: str) -> float:
        """The share of prompts whose two logits differ by a whole number of 1/256, as most of bfloat16 do."""
        command = [sys.executable, "-c", LOGITS, str(tmp_path / "qwen3"), head]
        environment = os.environ | {"RAZMETKA_CACHE": str(tmp_path / "cache")}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        first, second = np.array(json.loads(done.stdout.splitlines()[-1])).T
        steps = (first - second) * 256
        return float((np.abs(steps - steps.round()) < 0.01).mean())

    assert on_a_step("model") > 0.9
    assert on_a_step("float32") < 0.2
