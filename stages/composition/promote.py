"""Make the settings of a params.yaml, such as a winner's, the ones that conf/ composes."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stages.composition.compose import CONF, compose
from stages.composition.params import Params, load_all
from stages.running.config import PARAMS
from stages.running.errors import ConfigError
from stages.running.io import atomic_path

# The line of conf/config.yaml that names the overlay.
SELECTED = re.compile(r"^(\s*- experiment: )(\S+)$", re.MULTILINE)
NAME = re.compile(r"[a-z0-9_-]+")


def promote(name: str, params: Path = PARAMS, conf: Path = CONF) -> Path:
    """Write what `params` has over conf/ as the overlay `conf/experiment/<name>.yaml`, select it, and compose.

    `dvc exp apply` changes params.yaml alone, and the next `dvc exp run` composes it anew from conf/: without this,
    the winner's settings would be gone. Returns the overlay's path.

    Raises:
        ConfigError: a name that cannot be used, nothing to promote, or a difference that no overlay can express.
    """
    overlay, selection = conf / "experiment" / f"{name}.yaml", conf / "config.yaml"
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name an experiment; use lower-case letters, digits, _ and -")
    if overlay.exists():
        raise ConfigError(f"{overlay} exists; choose another name")
    source = selection.read_text(encoding="utf-8")
    if not SELECTED.search(source):
        raise ConfigError(f"{selection} has no line `- experiment: …` to select the overlay in")
    wanted = load_all(params)
    changes = differences(_composed(conf, "none"), wanted)
    if not changes:
        raise ConfigError(f"{params} is what {conf}/ composes without an experiment; there is nothing to promote")
    with atomic_path(overlay) as temporary:
        body = OmegaConf.to_yaml(OmegaConf.create(changes))
        temporary.write_text(f"# @package _global_\n# Promoted from {params.name}.\n{body}", encoding="utf-8")
    try:
        left = differences(_composed(conf, name), wanted)
        if left:
            raise ConfigError(
                f"an overlay cannot take away what conf/ sets under {', '.join(left)}; edit conf/ by hand there"
            )
    except ConfigError:
        overlay.unlink()
        raise
    with atomic_path(selection) as temporary:
        temporary.write_text(SELECTED.sub(rf"\g<1>{name}", source), encoding="utf-8")
    compose(params, [], conf)
    return overlay


def differences(base: Params, wanted: Params) -> dict[str, Any]:
    """The part of `wanted` that differs from `base`, as nested mappings; lists differ as a whole."""
    return _different(dataclasses.asdict(base), dataclasses.asdict(wanted))


def _different(base: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: None for key in base.keys() - wanted.keys()}
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            if inner := _different(base[key], value):
                found[key] = inner
        elif key not in base or base[key] != value:
            found[key] = value
    return found


def _composed(conf: Path, experiment: str) -> Params:
    with tempfile.TemporaryDirectory() as folder:
        compose(Path(folder) / "params.yaml", [f"experiment={experiment}"], conf)
        return load_all(Path(folder) / "params.yaml")
