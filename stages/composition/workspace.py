"""A folder of its own in which DVC runs a small configuration, as `make smoke` and `make preview` do.

That folder is a DVC repository without Git, so that neither results nor locks of the user's are touched. What costs
time is shared: answers and vectors, in the cache folder, and DVC's own cache, by which weights are converted once.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from dvc.config import Config
from dvc.repo import Repo

from stages.composition.compose import CONF, compose
from stages.composition.inputs import check_inputs
from stages.composition.params import Params, load_all
from stages.composition.small import capped, located
from stages.running.config import PARAMS, read
from stages.running.io import atomic_path

# What the stages run by; they are the user's, as they are now.
SHARED = ("stages", "conf")


def arguments(folder: Path) -> argparse.ArgumentParser:
    """Those of a command that prepares `folder`, or, with `--tell` and inside of it, says what came of it."""
    parser = argparse.ArgumentParser(description=f"Prepare {folder}/, or tell what came of it.")
    parser.add_argument("--line", default="", help="overrides as of stages.compose; params.yaml as it is without any")
    parser.add_argument("--tell", action="store_true", help="print what the run in this folder came to")
    return parser


def whole(overrides: Sequence[str]) -> tuple[Params, dict[str, Any]]:
    """The configuration that the small one is made of, typed and as it stands: params.yaml, or one of `overrides`.

    Raises:
        ConfigError, DataError: it would stop at something.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / PARAMS if overrides else PARAMS
        if overrides:
            compose(path, list(overrides))
        params, settings = load_all(path), read(path)
    check_inputs(params)
    return params, settings


def make_workspace(folder: Path, settings: Mapping[str, Any], ceilings: str) -> None:
    """Write what `dvc repro` needs into `folder`, and leave there what it has made before.

    No number of `settings` is above that of `conf/<ceilings>`.
    """
    make_repository(folder)
    small = located(capped(settings, read(CONF / ceilings)), folder)
    with atomic_path(folder / PARAMS) as temporary:
        temporary.write_text(yaml.safe_dump(small, allow_unicode=True, sort_keys=False), encoding="utf-8")
        load_all(temporary)


def make_repository(folder: Path) -> None:
    """Make `folder` a DVC repository with the user's stages and the user's DVC cache."""
    folder.mkdir(exist_ok=True)
    for name in SHARED:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..") / name, target_is_directory=True)
    (folder / ".dvc").mkdir(exist_ok=True)
    for name in (".dvc/config", ".dvcignore", "dvc.yaml"):
        shutil.copy(name, folder / name)
    with Repo() as users, Config(dvc_dir=str(folder / ".dvc")).edit("local") as local:
        local["core"]["no_scm"] = True
        local["cache"]["dir"] = users.cache.local_cache_dir
