"""Replicas with the real engine, and a stage that its settings spread: the same as in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stages.ingest
import stages.label
from stages.composition.compose import compose
from tests.conftest import ROOT
from tests.tiny_models import qwen3, sample_texts

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
from dataclasses import asdict, replace
from pathlib import Path
from stages.cluster.executor import open_model
from stages.composition.compose import compose
from stages.llm.backend import Sampling
from stages.llm.cache import CachedModel, ResponseCache

folder = Path(sys.argv[1])
params = compose(folder / "params.yaml", ["experiment=tiny", "execute=ray"], Path("conf"))
vllm = replace(params.vllm, dtype="float32", max_model_len=512, max_num_batched_tokens=512)
prompts = [*(f"отзыв {number}" for number in range(159)), "Отзыв " * 900]
samplings = [Sampling(4, temperature=0.7, stop=("\\n",), seed=seed) for seed in range(160)]
given = {}
for executor in ("process", "ray"):
    backend = open_model("vllm", folder / "qwen3", vllm, replace(params.execute, executor=executor))
    model = CachedModel(backend, ResponseCache(folder / f"{executor}.sqlite"))
    chosen = model.choose(prompts, ["да", "нет", "не знаю"], "x", Sampling(3, stop=("\\n",)))
    given[executor] = [asdict(answer) for answer in [*chosen, *model.complete(prompts, samplings, "x")]]
from stages.running.work import counted
given["tokens"] = counted["written tokens"]
print(json.dumps(given))
"""


def test_two_engines_answer_as_one(tmp_path: Path) -> None:
    qwen3(tmp_path / "qwen3", sample_texts())
    environment = os.environ | {"RAZMETKA_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    given = json.loads(finished.stdout.splitlines()[-1])
    for one, other in zip(given["process"], given["ray"], strict=True):
        assert one.keys() == other.keys()
        # Other prompts in a batch move the last digits.
        for name, value in one.items():
            exact = value is None or isinstance(value, str | bool)
            assert other[name] == value if exact else np.allclose(other[name], value, atol=1e-4), (one, other)
    reasons = [answer["reason"] for answer in given["ray"] if "reason" in answer]
    assert len(reasons) == 2
    assert all("vllm.max_model_len=512: raise it" in reason for reason in reasons)
    # The work of replicas counts as the stage's own: both wrote the same.
    assert given["tokens"] > 2 * 159


def test_the_settings_spread_a_stage(log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = [f"отзыв {number}: {'обувь' if number % 2 else 'платье'} по размеру" for number in range(100)]
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for name in ("conf", "data/raw"):
        Path(name).symlink_to(ROOT / name)
    pd.DataFrame({"text": reviews}).to_csv("reviews.csv", index=False)
    pd.DataFrame({"text": ["туфли", "чашка"], "label": ["обувь", "посуда"]}).to_csv("gold.csv", index=False)
    settings = [
        "data=own", "data.path=reviews.csv", "data.text_column=text", "data.gold.folder=.",
        "+data.gold.sets.checked=gold.csv", "label.backend=scripted",
    ]  # fmt: skip
    written = {}
    for executor in ("process", "ray"):
        monkeypatch.setenv("RAZMETKA_CACHE", str(tmp_path / executor))
        compose(Path("params.yaml"), [*settings, f"execute={executor}"])
        stages.ingest.main()
        stages.label.main()
        written[executor] = {path.name: path.read_bytes() for path in sorted(Path("data/label").iterdir())}
    assert written["process"] == written["ray"]
    assert set(written["ray"]) == {"labels.parquet", "quarantine.csv", "prior.json", "gold.parquet", "spent.json"}
    assert {int(line.split()[0]) for line in log.read_text().splitlines()} - {os.getpid()}
