"""Stage `models`: fetch the weights of one role and leave them as `data/models/<role>`.

Usage: python -m stages.models <role>
"""

from __future__ import annotations

import argparse
import logging

from stages.hardware.requirements import require_hardware
from stages.llm.config import Vllm
from stages.running.config import load, section
from stages.running.errors import ConfigError, run_stage
from stages.running.io import DATA
from stages.weights.config import Model
from stages.weights.resolve import resolve

logger = logging.getLogger(__name__)


@section
class Params:
    """What this stage reads of params.yaml."""

    models: dict[str, Model]
    vllm: Vllm


def main() -> None:
    """Resolve `params.models[role]` into `data/models/<role>`."""
    parser = argparse.ArgumentParser(prog="python -m stages.models", description="Fetch the weights of one role.")
    parser.add_argument("role", help="a key under `models` in params.yaml, such as teacher or student")
    role = parser.parse_args().role
    params = load(Params)
    models = params.models
    if role not in models:
        raise ConfigError(f"models.{role} is not in params.yaml; the roles there are {', '.join(sorted(models))}")
    if models[role].server is None:
        require_hardware(params.vllm)
    provenance = resolve(models[role], DATA / "models" / role)
    for name, digest in provenance["sha256"].items():
        logger.info("%s/%s: SHA-256 %s", DATA / "models" / role, name, digest)


if __name__ == "__main__":
    run_stage(main, "What was fetched whole is kept; the same command fetches the rest.")
