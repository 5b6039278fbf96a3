"""A zip archive of a Hugging Face folder -> that folder, its weights stored as float16."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from stages.running.errors import ModelError
from stages.running.io import read_json, write_json

# Whatever may run code when loaded (pickles, Python, notebooks) stays in the archive.
EXTRACTED = (".json", ".safetensors")


# Weights hardly shrink when packed, and settings are read whole: no more is unpacked than these bounds let expect.
MAX_MEMBERS = 1000
MAX_RATIO = 10
MAX_JSON_BYTES = 10**8
# Of the folder, whose weights are halved: those of an original in float64.
MAX_TIMES_FOLDER = 4


def convert(archive: Path, folder: Path, folder_gb: float = 0.0) -> None:
    """Extract configuration, tokenizer and weights into `folder`; the weights are stored as float16, loaded as float32.

    `folder_gb` is what the folder takes, in decimal gigabytes, 0 for unknown.

    Raises:
        ModelError: the file is no zip archive of a Hugging Face folder, is damaged, would write elsewhere, or would
            unpack to far more than such an archive holds.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            check_sizes(archive, opened.infolist(), folder_gb)
            for name, path in wanted(archive.name, opened.namelist()).items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                # zipfile reads no more than the member's announced size.
                with opened.open(name) as member, target.open("wb") as file:
                    shutil.copyfileobj(member, file)
                if target.suffix == ".safetensors":
                    halve(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, SafetensorError) as error:
        raise ModelError(f"{archive.name} is damaged, or its parts are in a wrong order: {error}") from error
    # Stored in half, but computed with in full: libraries load by this entry, and Gemma 3 overflows float16.
    try:
        config = dict(read_json(folder / "config.json"))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{archive.name}: its config.json is no JSON mapping: {error}") from error
    config.pop("torch_dtype", None)
    write_json(folder / "config.json", {**config, "dtype": "float32"})


def check_sizes(archive: Path, members: Sequence[zipfile.ZipInfo], folder_gb: float = 0.0) -> None:
    """Raise `ModelError` if there are too many members, or what is extracted of them would be too large."""
    if len(members) > MAX_MEMBERS:
        raise ModelError(
            f"{archive.name} is refused: it has {len(members)} members, a model's has {MAX_MEMBERS} at most"
        )
    extracted = [member for member in members if member.filename.endswith(EXTRACTED)]
    for member in extracted:
        if member.filename.endswith(".json") and member.file_size > MAX_JSON_BYTES:
            raise ModelError(
                f"{archive.name} is refused: its {member.filename!r} would take {member.file_size / 1e9:.1f} GB, "
                f"settings {MAX_JSON_BYTES / 1e9:.1f} GB at most"
            )
    unpacked = sum(member.file_size for member in extracted)
    limits = {f"{MAX_RATIO} times its own size": MAX_RATIO * archive.stat().st_size}
    if folder_gb:
        limits[f"{MAX_TIMES_FOLDER} times the folder_gb of its model"] = round(MAX_TIMES_FOLDER * folder_gb * 1e9)
    for what, limit in limits.items():
        if unpacked > limit:
            raise ModelError(
                f"{archive.name} is refused: it would take {unpacked / 1e9:.2f} GB unpacked, more than {what} "
                f"({limit / 1e9:.2f} GB)"
            )


def wanted(archive: str, names: Iterable[str]) -> dict[str, PurePosixPath]:
    """Member -> path in the model's folder, without the one folder that all may lie in.

    Raises:
        ModelError: a member leads out of the folder, or config.json or safetensors are missing.
    """
    paths = {name: PurePosixPath(name) for name in names}
    for name, path in paths.items():
        if path.is_absolute() or ".." in path.parts:
            raise ModelError(f"{archive} is refused: its member {name!r} leads out of the folder it is extracted to")
    paths = {name: path for name, path in paths.items() if path.suffix in EXTRACTED}
    if len({path.parts[0] for path in paths.values()}) == 1:
        paths = {name: PurePosixPath(*path.parts[1:]) for name, path in paths.items()}
    if PurePosixPath("config.json") not in paths.values():
        raise ModelError(f"{archive} is no archive of a Hugging Face model folder: it has no config.json")
    if not any(path.suffix == ".safetensors" for path in paths.values()):
        raise ModelError(f"{archive} has no .safetensors weights; pickled ones may run code when loaded")
    return paths


def halve(path: Path) -> None:
    """Store the floating-point tensors of a safetensors file as float16."""
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in load_file(path).items()
    }
    # Beside it, since tensors that were not cast are still read from the file.
    halved = path.with_suffix(".half")
    save_file(tensors, halved, metadata={"format": "pt"})
    os.replace(halved, path)
