"""Compose `params.yaml` from conf/ by the code of `dvc exp run`: `python -m stages.compose [group=option …]`."""

from __future__ import annotations

import sys
from pathlib import Path

from dvc.utils.hydra import compose_and_dump
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from stages.common.config import PARAMS, load
from stages.common.errors import ConfigError, run_stage
from stages.common.io import atomic_path

CONF = Path("conf")


def compose(target: Path, overrides: list[str], conf: Path = CONF) -> None:
    """Write the composed configuration to `target` if, and only if, it is valid.

    Raises:
        ConfigError: an override that Hydra cannot apply, or a composed value that no stage would accept.
    """
    with atomic_path(target) as temporary:
        try:
            compose_and_dump(str(temporary), str(conf.absolute()), None, "config", "", overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(
                f"cannot compose {conf}/ with {' '.join(overrides) or 'no overrides'}: {error}"
            ) from error
        load(temporary)


def main() -> None:
    """Write params.yaml."""
    compose(PARAMS, sys.argv[1:])


if __name__ == "__main__":
    run_stage(main)
