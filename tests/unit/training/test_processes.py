"""Several processes learn as one does, and end with the first of them; gloo stands for the cards' NCCL."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from datasets import DatasetDict
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException
from transformers import TrainerCallback, TrainingArguments

from stages.running.errors import ConfigError
from stages.training import fine_tuning
from stages.training.checkpoints import last_whole
from stages.training.config import Train
from stages.training.curves import Curves
from stages.training.encoder import Encoder
from stages.training.fine_tuning import training_arguments
from stages.training.learning import Learning, Rows, learn_all
from stages.training.processes import alongside, require_cards
from stages.training.trainer import OneCard
from tests.unit.training.test_training import Interruption

ROOT = Path(__file__).parents[3]


@pytest.fixture
def still(encoders: dict[str, Path], tmp_path: Path) -> Path:
    """An encoder without dropout, whose random numbers follow from how rows are shared out."""
    folder = shutil.copytree(encoders["xlm-roberta"], tmp_path / "still")
    config = json.loads((folder / "config.json").read_text())
    dropout = {name: 0.0 for name in config if name.endswith("dropout_prob")}
    (folder / "config.json").write_text(json.dumps(config | dropout))
    return folder


def learn(
    folder: Path, splits: DatasetDict, settings: Train, place: Path, *callbacks: TrainerCallback
) -> tuple[dict[str, torch.Tensor], Learning]:
    """The weights that a student ends with."""
    # Rows that weigh unlike are what a mean of means would get wrong.
    weights = [1.0 + row % 5 for row in range(len(splits["train"]))]
    train = splits["train"].remove_columns("weight").add_column("weight", weights)
    encoder = Encoder(folder, train.features["label"].names, settings, seed=7)
    model, tokenizer = encoder.student()
    rows = Rows(train, splits["validation"], splits["validation"])
    curves = Curves(place / "curves")
    result = learn_all(model, tokenizer, encoder, rows, settings, 7, place / "steps", curves, callbacks)
    return model.state_dict(), result


def moved(weights: dict[str, torch.Tensor], folder: Path, splits: DatasetDict, settings: Train) -> float:
    """By how much learning has changed a weight of the encoder, at the most."""
    start = Encoder(folder, splits["train"].features["label"].names, settings, seed=7).student()[0]
    inner = {f"{start.base_model_prefix}.{name}": value for name, value in start.base_model.state_dict().items()}
    return max(float((weights[name] - value).abs().max()) for name, value in inner.items())


def curve(place: Path, name: str) -> list[float]:
    lines = (place / f"curves/plots/metrics/{name}.tsv").read_text().splitlines()[1:]
    return [float(line.split("\t")[-1]) for line in lines]


def test_two_processes_learn_what_one_does(
    still: Path, splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(train_settings, linear_probe=None, frozen_embeddings=True, learning_rate=0.0003)
    # The last batch of an epoch is short: 38 rows, 4 a step.
    alone, one = learn(still, splits, settings, tmp_path / "one")
    together, two = learn(still, splits, dataclasses.replace(settings, processes=2), tmp_path / "two")
    assert (two.best_epoch, two.macro_f1) == (one.best_epoch, one.macro_f1)
    # Otherwise the weights would be those of the start.
    assert one.best_epoch > 0
    # By more than the two may differ.
    assert moved(alone, still, splits, settings) > 1e-3
    # Apart from rounding: a sum over four rows, and the sum of two over two.
    for name in ("train/loss", "train/learning_rate", "validation/loss", "validation/macro_f1"):
        assert curve(tmp_path / "two", name) == pytest.approx(curve(tmp_path / "one", name), rel=1e-3), name
    for name, weights in alone.items():
        torch.testing.assert_close(together[name], weights, rtol=0.01, atol=1e-3)
    assert "WORLD_SIZE" not in os.environ
    assert not torch.distributed.is_initialized()


@pytest.mark.slow
def test_an_interrupted_training_in_two_processes_goes_on_and_nobody_is_left(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    settings = dataclasses.replace(train_settings, processes=2)
    expected, straight = learn(encoders["bert"], splits, settings, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        learn(encoders["bert"], splits, settings, tmp_path / "broken", Interruption(step=24))
    assert not multiprocessing.active_children()
    newest = last_whole(tmp_path / "broken/steps")
    assert newest is not None
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= {path.name for path in newest.iterdir()}
    weights, result = learn(encoders["bert"], splits, settings, tmp_path / "broken")
    assert result.resumed_from_epoch == 2
    assert (result.best_epoch, result.macro_f1) == (straight.best_epoch, straight.macro_f1)
    for name, value in expected.items():
        assert torch.equal(weights[name], value), name


class Kill(TrainerCallback):
    """Kills the other process after a step."""

    def on_step_end(self, *arguments: object, **named: object) -> None:
        for child in multiprocessing.active_children():
            child.kill()


@pytest.mark.slow
def test_a_process_that_is_killed_is_named(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    with pytest.raises(ProcessExitedException, match="SIGKILL"):
        learn(encoders["bert"], splits, dataclasses.replace(train_settings, processes=2), tmp_path, Kill())
    assert not multiprocessing.active_children()


def test_what_another_process_fails_with_is_told() -> None:
    with pytest.raises(ProcessRaisedException, match="math domain error"), alongside(1, math.sqrt, -1):
        pass


def test_other_processes_end_with_the_first(tmp_path: Path) -> None:
    """However it ends: here it is killed."""
    code = (
        "import os, signal, sys, time\n"
        "from multiprocessing import active_children\n"
        "from stages.training.processes import alongside\n"
        "if __name__ == '__main__':\n"
        "    with alongside(1, time.sleep, 600):\n"
        "        print(active_children()[0].pid, flush=True)\n"
        "        time.sleep(600)\n"
    )
    (tmp_path / "first.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.Popen([sys.executable, "first.py"], env=environment, stdout=subprocess.PIPE, text=True)
    assert first.stdout
    other = Path("/proc", first.stdout.readline().strip())
    # It has to have come as far as asking to be ended with the first.
    wait_until(lambda: "sleep" in (other / "wchan").read_text() or b"time" in (other / "cmdline").read_bytes())
    first.kill()
    first.wait()
    wait_until(lambda: not other.exists())


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_batch_is_shared_out_evenly(train_settings: Train) -> None:
    with pytest.raises(ConfigError, match=r"train.processes=3 cannot share out train.batch_size=4"):
        dataclasses.replace(train_settings, processes=3)


def test_every_process_needs_a_card_of_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    require_cards(2)
    with caplog.at_level("INFO"):
        require_cards(1)
    assert "1 of 2 graphics cards are used; train.processes says how many" in caplog.messages
    with pytest.raises(ConfigError, match="processes=4, but there are 2 graphics cards"):
        require_cards(4)


def test_of_two_cards_one_process_takes_one(
    encoders: dict[str, Path],
    splits: DatasetDict,
    train_settings: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, _ = learn(encoders["bert"], splits, train_settings, tmp_path / "one")
    # Where `Trainer` finds two, it would wrap the model and take batches of twice the size. It looks for none on a CPU.
    monkeypatch.setattr(fine_tuning, "OneCard", lambda **given: OneCard(**given | {"use_cpu": False}))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    arguments = training_arguments(train_settings, 7, tmp_path, steps=10)
    assert (TrainingArguments.n_gpu.fget(arguments), arguments.n_gpu, arguments.train_batch_size) == (2, 1, 4)
    weights, _ = learn(encoders["bert"], splits, train_settings, tmp_path / "two")
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
