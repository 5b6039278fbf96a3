"""Compose a parameter file from conf/ by the code of `dvc exp run`."""

from __future__ import annotations

from pathlib import Path

from dvc.utils.hydra import compose_and_dump
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from stages.common.errors import ConfigError
from stages.common.io import atomic_path
from stages.composition.params import Params, load_all

CONF = Path("conf")


def compose(target: Path, overrides: list[str], conf: Path = CONF) -> Params:
    """Write the composed configuration to `target` if, and only if, it is valid; return it.

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
        return load_all(temporary)
