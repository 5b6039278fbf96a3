"""Compose a parameter file from conf/ by the code of `dvc exp run`, which takes its overrides as Hydra does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dvc.utils.hydra import compose_and_dump
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from stages.composition.overrides import readable
from stages.composition.params import Params, load_all
from stages.running.config import parse
from stages.running.errors import ConfigError
from stages.running.io import atomic_path

CONF = Path("conf")


def compose(
    target: Path, overrides: list[str], conf: Path = CONF, check: Callable[[Params], None] | None = None
) -> Params:
    """Write the composed configuration to `target` if, and only if, it is valid; return it.

    `overrides` are `key=value` as a user types them (see `overrides.readable`). `check` may raise to keep the
    configuration from being written.

    Raises:
        ConfigError: a file of conf/ that cannot be read, an override that Hydra cannot apply, or a composed value that
            no stage would accept.
    """
    given = [readable(override) for override in overrides]
    with atomic_path(target) as temporary:
        try:
            compose_and_dump(str(temporary), str(conf.absolute()), None, "config", "", given)
        except (HydraException, OmegaConfBaseException, UnicodeDecodeError, YAMLError) as error:
            # Which file of conf/ it could not read, Hydra does not say.
            for path in sorted(conf.rglob("*.yaml")):
                parse(path)
            raise ConfigError(
                f"cannot compose {conf}/ with {' '.join(overrides) or 'no overrides'}: {' '.join(str(error).split())}"
            ) from error
        params = load_all(temporary)
        if check is not None:
            check(params)
        return params
