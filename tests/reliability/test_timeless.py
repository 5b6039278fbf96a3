"""Seconds and dates are found where they stand, and stand nowhere among what is compared between commits."""

from __future__ import annotations

import json
import subprocess
import time
import zipfile
from datetime import date
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.reliability.timeless import times_in

# Latency, and the summary that quotes it.
LATENCY = {"milliseconds_a_review", "reviews_a_second"}


def test_metrics_in_git_hold_neither_seconds_nor_dates() -> None:
    command = ["git", "ls-files", "metrics"]
    files = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    found = {file: times for file in files if (times := times_in(ROOT / file))}
    assert {"metrics/summary.json", "metrics/train/real/metrics.json"} <= set(files)
    assert found == {"metrics/summary.json": LATENCY}


@pytest.mark.parametrize(
    "written",
    [
        {"train": {"train_runtime": 2.5}},
        {"steps": [{"took": 3}]},
        {"eval_samples_per_second": 3.0},
        {"run": f"of {date.today():%d.%m.%Y}"},
        {"run": round(time.time())},
        {"run": time.time()},
    ],
)
def test_what_tells_the_time_in_a_file_of_figures_is_found(written: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(written))
    assert len(times_in(path)) == 1


def test_what_tells_the_time_in_other_files_is_found(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["a"], "elapsed": [1.0]}).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.tsv").write_text("step\ttimestamp\n1\t2\n")
    plt.figure().savefig(tmp_path / "c.pdf")
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr(zipfile.ZipInfo("e", time.localtime()[:6]), "")
    assert all(times_in(path) for path in tmp_path.iterdir())
    pd.DataFrame({"text": ["a"], "second_opinion": ["b"]}).to_parquet(tmp_path / "a.parquet")
    assert not times_in(tmp_path / "a.parquet")
