"""Small real runs to be interrupted: real DVC, real fine-tuning of tiny models, a scripted teacher and generator."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from stages.running import record
from tests.e2e.test_chain import copy_of_checkout, environment, run

BEGIN = re.compile(r"^Running stage '(.+?)'", re.MULTILINE)
SKIPPED = re.compile(r"^Stage '(.+?)' (?:didn't change|is cached)", re.MULTILINE)
# What is logged when a stage's command is at its end; DVC then stores what it wrote.
END = re.compile(rf"^INFO {re.escape(record.__name__)}: (\S+): ", re.MULTILINE)


def small_run(folder: Path, models: Path) -> Path:
    """A repository in the new `folder` whose `dvc repro` takes minutes: `experiment=tiny` with a scripted teacher.

    `models` were made by `tests.tiny_models`: once for all runs that are compared, as a tokenizer that is trained anew
    is another.
    """
    checkout = copy_of_checkout(folder / "checkout")
    shutil.copytree(models, checkout / "data/tiny")
    scripted = ["label.backend=scripted", "generate.backend=scripted"]
    # An interrupted training goes on from the first epoch's checkpoint; scripted texts are kept as they are.
    changed = ["train.epochs=2", "curate.policy=none", "generate.filters.relabel_policy=keep"]
    run(checkout, "-m", "stages.compose", "experiment=tiny", *scripted, *changed)
    return checkout


class Repro:
    """What `make repro` runs in `checkout`, in a process group of its own."""

    def __init__(self, checkout: Path) -> None:
        self.log = checkout.parent / f"{time.monotonic_ns()}.log"
        asked = {"RAZMETKA_SCRIPTED_LOG": str(checkout.parent / "asked.txt"), "RAZMETKA_SCRIPTED_DELAY": "0.02"}
        run(checkout, "-m", "stages.unlock")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro"], cwd=checkout, env=environment(checkout) | asked,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def begun(self) -> list[str]:
        """The stages that DVC ran so far, the last of which may be running."""
        return BEGIN.findall(self.text())

    def ended(self) -> list[str]:
        """Those whose command is at its end."""
        return END.findall(self.text())

    def skipped(self) -> list[str]:
        """Those that were done before."""
        return SKIPPED.findall(self.text())

    def wait_until(self, what: Callable[[], bool]) -> bool:
        """Whether it came to `what` before the run was over."""
        while not what():
            if self.process.poll() is not None:
                return what()
            time.sleep(0.01)
        return True

    def kill(self) -> str:
        """kill -9 of DVC, of the stage, and of all that it started; the stage that was begun last."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return (self.begun() or [""])[-1]

    def finish(self) -> str:
        """What it printed until its end, which is a good one."""
        assert self.process.wait() == 0, self.text()[-6000:]
        return self.text()


def seconds_of_stages(repro: Repro) -> dict[str, float]:
    """How long each stage takes from its line to that of the next one, DVC's own part with it; waits for the end."""
    began: dict[str, float] = {}
    while repro.process.poll() is None:
        for stage in repro.begun():
            began.setdefault(stage, time.monotonic())
        time.sleep(0.01)
    repro.finish()
    # Else kills would wait for ends that are never seen.
    assert repro.ended() == repro.begun()
    moments = [*began.values(), time.monotonic()]
    return {stage: after - before for stage, before, after in zip(began, moments, moments[1:], strict=False)}


def results(checkout: Path) -> dict[str, str]:
    """The hash of every file that the run left in data/ and metrics/, by its path; hidden ones and leftovers too."""
    return {
        str(path.relative_to(checkout)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files_of(checkout)
    }


def files_of(checkout: Path) -> Iterator[Path]:
    """The files that stages wrote."""
    given = (checkout / "data/raw", checkout / "data/tiny", checkout / "data/run.jsonl", checkout / "data/.gitignore")
    for folder in ("data", "metrics"):
        for path in sorted((checkout / folder).rglob("*")):
            if path.is_file() and not any(path.is_relative_to(other) for other in given):
                yield path
