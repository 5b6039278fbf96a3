"""A zip archive of a Hugging Face folder -> that folder, its weights stored as float16."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from stages.common.errors import ModelError
from stages.common.io import read_json, write_json

# Whatever may run code when loaded (pickles, Python, notebooks) stays in the archive.
EXTRACTED = (".json", ".safetensors")


def convert(archive: Path, folder: Path) -> None:
    """Extract configuration, tokenizer and weights into `folder`; the weights are stored as float16, loaded as float32.

    Raises:
        ModelError: the file is no zip archive of a Hugging Face folder, is damaged, or would write elsewhere.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for name, path in wanted(archive.name, opened.namelist()).items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(name) as member, target.open("wb") as file:
                    shutil.copyfileobj(member, file)
                if target.suffix == ".safetensors":
                    halve(target)
    except (zipfile.BadZipFile, SafetensorError) as error:
        raise ModelError(f"{archive.name} is damaged, or its parts are in a wrong order: {error}") from error
    # Stored in half, but computed with in full: libraries load by this entry, and Gemma 3 overflows float16.
    config = read_json(folder / "config.json")
    config.pop("torch_dtype", None)
    write_json(folder / "config.json", {**config, "dtype": "float32"})


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
