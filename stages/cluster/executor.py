"""The model of a stage: in its own process, or spread over replicas, as section `execute` says."""

from __future__ import annotations

import importlib
from pathlib import Path

from stages.cluster.config import Execute
from stages.llm.backend import Backend, open_backend
from stages.llm.config import Vllm


def open_model(name: str, folder: Path, engine: Vllm, execute: Execute) -> Backend:
    """The backend called `name` for the model in `folder`, wherever it runs.

    What spreads it is imported only now, and by its name: it changes no answer, so that no stage depends on its code.

    Raises:
        ConfigError, ModelError: as `open_backend`.
    """
    backend = open_backend(name, folder, engine)
    if execute.executor == "process":
        return backend
    spread: Backend = importlib.import_module("stages.cluster.spread").SpreadBackend(
        backend, name, folder, engine, execute
    )
    return spread
