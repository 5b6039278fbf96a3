"""The real configuration, composed from conf/, for tests to shrink."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from stages.composition.compose import compose
from stages.composition.params import Params

ROOT = Path(__file__).parents[1]

# A shell starts what it runs in the background with Ctrl-C ignored, and so would every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says more about the machine than about the code. The same examples every time, so that a
# change is what turns a test red; `make test-all` looks for new ones.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")

# Tests never fetch anything from a hub, and their small models need no second thread.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture
def params(tmp_path: Path) -> Params:
    """The default configuration."""
    return compose(tmp_path / "params.yaml", [], ROOT / "conf")


@pytest.fixture
def labels(params: Params) -> list[str]:
    """The nine categories in their order."""
    return params.labels.names


@pytest.fixture(autouse=True)
def _private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache of answers; the end-to-end test shares downloads alone."""
    monkeypatch.setenv("RAZMETKA_CACHE", str(tmp_path / "cache"))
