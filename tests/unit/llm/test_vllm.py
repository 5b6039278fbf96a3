"""What vLLM itself makes of prompts that it cannot answer, on a random model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
print(json.dumps(reasons))
"""


def test_a_prompt_that_vllm_cannot_take_costs_no_other_its_answer(tmp_path: Path) -> None:
    qwen3(tmp_path / "qwen3", sample_texts())
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "qwen3")]
    environment = os.environ | {"RAZMETKA_CACHE": str(tmp_path / "cache")}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    for kind, reasons in json.loads(finished.stdout.splitlines()[-1]).items():
        assert reasons[:3] == reasons[5:] == ["", "", ""], kind
        assert "vllm.max_model_len=512: raise it" in reasons[3]
        assert reasons[4].startswith("the model failed: ") or kind == "after a line", reasons[4]
