"""The same machine gives the same bytes: students, curves and graphs of two runs, each in processes of its own."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import DatasetDict

from stages.common.manifest import write_manifest
from stages.training.config import Train
from tests.conftest import ROOT
from tests.reliability.small_runs import results
from tests.reliability.timeless import times_in
from tests.students import LABELS, encoders, loss_settings, splits, train_settings  # noqa: F401


@pytest.mark.parametrize(
    ("encoder", "changed"),
    [
        ("xlm-roberta", {"epochs": 3}),
        pytest.param("gemma3", {"epochs": 0, "pooling": "mean"}, marks=pytest.mark.slow),
    ],
)
def test_two_runs_leave_the_same_bytes(
    encoder: str,
    changed: dict[str, Any],
    encoders: dict[str, Path],  # noqa: F811
    splits: DatasetDict,  # noqa: F811
    train_settings: Train,  # noqa: F811
    tmp_path: Path,
) -> None:
    settings = dataclasses.replace(train_settings, **changed, linear_probe=0.1)
    folders = [tmp_path / "first", tmp_path / "second"]
    # Side by side, as nothing says that a machine is a run's own.
    runs = [
        started(folder, settings, encoders[encoder], splits, seed) for folder, seed in zip(folders, "01", strict=True)
    ]
    for run in runs:
        log, _ = run.communicate()
        assert run.returncode == 0, log
    first, second = map(results, folders)
    assert {"data/students/style/training.json", "metrics/train/style/metrics.json"} <= first.keys()
    assert "data/export/onnx/model.onnx" in first
    assert first == second
    assert not {path: times for path in first if (times := times_in(folders[0] / path))}


def started(folder: Path, settings: Train, encoder: Path, rows: DatasetDict, hash_seed: str) -> subprocess.Popen[str]:
    """Stages `train` and `export` in a new repository at `folder`, with a cache of its own.

    Python orders sets of strings by a seed that is another in every process, and transformers computes Gemma's two
    rotary embeddings in such an order.
    """
    for split, some in rows.items():
        (folder / "data/dataset").mkdir(parents=True, exist_ok=True)
        some.to_parquet(str(folder / f"data/dataset/{split}.parquet"))
    write_manifest(folder / "data/dataset")
    (folder / "data/models").mkdir()
    (folder / "data/models/student").symlink_to(encoder)
    params = {
        "seed": 7,
        "labels": {"language": "ru", "names": LABELS},
        "distil": {
            "into": None,
            "layers": None,
            "lowercase": True,
            "words": 100,
            "texts": 1000,
            "epochs": 1,
            "batch_size": 4,
            "learning_rate": 0.01,
        },
        "train": dataclasses.asdict(settings),
        "answer": {"batch_size": 4},
        "export": {"max_f1_drop": 0.2},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
    environment = {
        "PYTHONPATH": str(ROOT),
        "RAZMETKA_CACHE": str(folder / "cache"),
        "PYTHONHASHSEED": hash_seed,
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        f'"{sys.executable}" -m stages.train style && exec "{sys.executable}" -m stages.export', shell=True,
        cwd=folder, env=os.environ | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
