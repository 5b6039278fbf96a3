"""A Ray of two cores for the tests of a file, whose replicas write down what they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stages.cluster.config import Execute
from stages.cluster.executor import open_model
from stages.composition.compose import compose
from stages.llm.backend import Backend

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the scripted replicas are asked, a line (process, question) each; they take 20 ms an answer."""
    import ray

    path = tmp_path_factory.mktemp("ray") / "asked.log"
    path.touch()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAZMETKA_SCRIPTED_LOG", str(path))
        patched.setenv("RAZMETKA_SCRIPTED_DELAY", "0.02")
        yield path
        ray.shutdown()


@pytest.fixture
def execute(tmp_path: Path) -> Execute:
    """Two replicas on this machine."""
    given = compose(tmp_path / "params.yaml", ["execute=ray"], ROOT / "conf").execute
    return replace(given, folder=str(tmp_path / "shared"))


@pytest.fixture
def spread(log: Path, execute: Execute, params) -> Backend:
    """The scripted backend, spread over the replicas."""
    return open_model("scripted", Path(), params.vllm, execute)
