"""Ctrl-C and SIGTERM to real processes, at the import, at work and while pip waits: one line, code 130 or 143."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pandas as pd
import pytest
from datasets import DatasetDict

from stages.common.manifest import write_manifest
from stages.composition.compose import compose
from stages.inference.folder import write_student
from stages.running.interruption import ANEW, GRACE
from stages.training.config import Train
from stages.training.student import build_student
from tests.conftest import ROOT

SIGNALS = (signal.SIGINT, signal.SIGTERM)
WORDS = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Terminated"}
PATIENCE = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place to run commands in, with the shipped configuration and reviews."""
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw").symlink_to(ROOT / "data/raw")
    return tmp_path


@contextmanager
def running(folder: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own, its standard error in the file `told`."""
    given = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    with (folder / "told").open("w") as told:
        process = subprocess.Popen(
            command, cwd=folder, env=given, stdin=subprocess.PIPE, stdout=told, stderr=told, text=True,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def python(folder: Path, *arguments: str, **environment: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return running(folder, sys.executable, "-m", *arguments, **environment)


def told(folder: Path) -> str:
    return (folder / "told").read_text()


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str], folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, told(folder)
        assert time.monotonic() < end, told(folder)
        time.sleep(0.05)


def ends(process: subprocess.Popen[str], number: signal.Signals, folder: Path, kept: str) -> None:
    """Signal the process, Ctrl-C to its whole group as a terminal does, and read what it says."""
    began = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.wait(timeout=PATIENCE)
    assert time.monotonic() - began < GRACE + 5
    assert process.returncode == 128 + number, told(folder)
    assert "Traceback" not in told(folder)
    assert told(folder).splitlines()[-1] == f"{WORDS[number]}. {kept}"


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.3, 1.0, 2.0])
def test_during_imports(delay: float, number: signal.Signals, folder: Path) -> None:
    # It waits for a review on standard input, so that it is there whenever the signal comes.
    with running(folder, sys.executable, "-X", "importtime", "-m", "stages.predict") as process:
        # Before its first own line Python itself answers.
        wait_until(lambda: "stages.running.interruption" in told(folder), process, folder)
        time.sleep(delay)
        os.killpg(process.pid, number)
        process.wait(timeout=GRACE + 5)
    assert process.returncode == 128 + number
    assert "Traceback" not in told(folder)
    assert re.search(rf"^{WORDS[number]}\. (It had not begun|Nothing was stored)\.$", told(folder), re.MULTILINE)


@pytest.fixture
def ingested(folder: Path) -> Path:
    compose(folder / "params.yaml", ["label.backend=scripted", "data.limit=60"], ROOT / "conf")
    with python(folder, "stages.ingest") as process:
        assert process.wait(timeout=PATIENCE) == 0, told(folder)
    (folder / "data/models/teacher").mkdir(parents=True)
    return folder


def test_label_goes_on_from_what_was_answered(ingested: Path) -> None:
    kept = "What was answered so far is stored; the same command goes on from there."
    again = (r"label: \d+ answers, 0 known", r"label: \d+ answers, [1-9]\d* known")
    for number, known in zip(SIGNALS, again, strict=True):
        with python(ingested, "stages.label", RAZMETKA_SCRIPTED_DELAY="0.2") as process:
            wait_until(lambda known=known: re.search(known, told(ingested)), process, ingested)
            time.sleep(1)
            ends(process, number, ingested, kept)


def test_train_goes_on_from_its_last_epoch(
    folder: Path,
    encoders: dict[str, Path],
    splits: DatasetDict,
    label_names: list[str],
) -> None:
    overrides = ["train=xlm-roberta-large", "train.epochs=2000", "train.max_tokens=8", "train.precision=fp32"]
    overrides += [f"labels.names=[{','.join(label_names)}]", "train.batch_size=4", "train.layers=null"]
    compose(folder / "params.yaml", overrides, ROOT / "conf")
    (folder / "data/dataset").mkdir()
    for split, rows in splits.items():
        rows.to_parquet(str(folder / f"data/dataset/{split}.parquet"))
    write_manifest(folder / "data/dataset")
    (folder / "data/ingest").mkdir()
    columns = ["gold_set", "id", "row", "text", "label", "stratum", "flag"]
    pd.DataFrame(columns=columns).to_parquet(folder / "data/ingest/calibration.parquet")
    (folder / "data/models").mkdir()
    (folder / "data/models/student").symlink_to(encoders["xlm-roberta"])
    kept = "Vectors computed and epochs finished so far are stored; the same command goes on from there."
    again = (r"train: \d+ steps, 0 known", r"train: \d+ steps, [1-9]\d* known")
    for number, known in zip(SIGNALS, again, strict=True):
        with python(folder, "stages.train", "real") as process:
            wait_until(lambda known=known: re.search(known, told(folder)), process, folder)
            wait_until(lambda: list((folder / "cache/checkpoints").glob("*/checkpoint-*/seal.json")), process, folder)
            ends(process, number, folder, kept)


def test_predict_goes_on_from_the_rows_answered(
    folder: Path,
    encoders: dict[str, Path],
    label_names: list[str],
    train_settings: Train,
) -> None:
    write_student(*build_student(encoders["bert"], label_names, train_settings), folder / "student")
    pd.DataFrame({"text": [f"туфли малы {row}" for row in range(60_000)]}).to_csv(folder / "in.csv", index=False)
    command = ["stages.predict", "--input", "in.csv", "--output", "out.csv", "--model", "student"]
    kept = "The rows answered so far are in out.csv.part; the same command goes on from them."
    for number in SIGNALS:
        with python(folder, *command) as process:
            before = len(list(folder.glob("out.csv.part/0*")))
            wait_until(lambda b=before: len(list(folder.glob("out.csv.part/0*"))) > b, process, folder)
            ends(process, number, folder, kept)
        assert not (folder / "out.csv").exists()
    assert re.search(r"going on at row [1-9]\d* of 60000", told(folder))


@pytest.mark.parametrize("number", SIGNALS)
def test_predict_of_one_review_has_stored_nothing(number: signal.Signals, folder: Path) -> None:
    with running(folder, sys.executable, "-X", "importtime", "-m", "stages.predict") as process:
        # The last of its imports.
        wait_until(lambda: "stages.ingestion.cleaning" in told(folder), process, folder)
        time.sleep(1)
        before = sorted(folder.rglob("*"))
        ends(process, number, folder, "Nothing was stored.")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("number", SIGNALS)
def test_models_ends_while_pip_waits_for_an_index(number: signal.Signals, folder: Path) -> None:
    compose(folder / "params.yaml", [], ROOT / "conf")
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(PATIENCE)
        address = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        settings = dict.fromkeys(("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"), "") | {"PIP_CONFIG_FILE": os.devnull}
        settings |= {"PIP_INDEX_URL": address, "NO_PROXY": "127.0.0.1"}
        with python(folder, "stages.models", "embedder", **settings) as process:
            asked, _ = index.accept()
            asked.settimeout(PATIENCE)
            assert asked.recv(100)
            ends(process, number, folder, "What was fetched whole is kept; the same command fetches the rest.")
            # pip has gone, too.
            while asked.recv(4096):
                pass
    assert not list((folder / "cache/wheels").iterdir())


def test_a_command_that_does_not_come_back_is_ended(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(
        "import sys, time\n"
        "from stages.running.errors import run_stage\n"
        "def main():\n"
        "    print('begun', file=sys.stderr, flush=True)\n"
        "    while True:\n"
        "        try:\n"
        "            time.sleep(60)\n"
        "        except BaseException:\n"
        "            pass\n"
        "run_stage(main)\n"
    )
    for presses in (1, 2):
        with python(tmp_path, "stubborn") as process:
            wait_until(lambda: "begun" in told(tmp_path), process, tmp_path)
            if presses == 2:
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
            ends(process, signal.SIGINT, tmp_path, ANEW)


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize("number", SIGNALS)
def test_under_dvc_the_stage_ends_too(number: signal.Signals, shell: str, ingested: Path) -> None:
    (ingested / ".dvc").mkdir()
    (ingested / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    command = f"exec {sys.executable} -m stages.label"
    (ingested / "dvc.yaml").write_text(f"stages: {{label: {{cmd: {command}, outs: [data/label]}}}}\n")
    with python(ingested, "dvc", "repro", RAZMETKA_SCRIPTED_DELAY="0.2", SHELL=shell) as process:
        wait_until(lambda: "label: " in told(ingested), process, ingested)
        time.sleep(1)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(timeout=GRACE + 10) != 0
        end = time.monotonic() + GRACE + 5
        while "goes on from there" not in told(ingested):
            assert time.monotonic() < end, told(ingested)
            time.sleep(0.1)
    assert "Traceback" not in told(ingested)
    if number == signal.SIGINT:
        assert "exited with 130" in told(ingested)
