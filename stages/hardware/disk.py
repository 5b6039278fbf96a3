"""What a run takes of the disk at most, and where: downloads, models, checkpoints, students, compiled kernels."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stages.common.cache import cache_folder
from stages.common.provenances import PROVENANCES
from stages.composition.params import Params
from stages.hardware.sizing import NETWORKS

# The best epoch's, the last and the one being written; of them all but the two are then deleted (save_total_limit=1).
CHECKPOINTS_AT_ONCE = 3
# Bytes of a trained weight in a checkpoint: itself in fp32, and AdamW's two moments; of a frozen one: itself.
TRAINED, FROZEN = 12, 4
# The student's graph in fp32, and in int8, in sizes of its weights.
EXPORTED = 1.25
# What torch.compile and Triton leave, by the order of magnitude: nobody has measured it for these models.
COMPILED_GB = 1.0
# By place, which variable moves it elsewhere.
MOVED_BY = {"hub": "HF_HOME", "checkout": "", "cache": "RAZMETKA_CACHE", "engine": "VLLM_CACHE_ROOT, TRITON_CACHE_DIR"}


@dataclass(frozen=True)
class Stored:
    """Decimal gigabytes that `what` takes, at most at once, in `place`, a key of `MOVED_BY`."""

    what: str
    place: str
    gb: float


@dataclass(frozen=True)
class Volume:
    """A file system: decimal gigabytes that are free, the places that lie on it, and the folder of one of them."""

    free_gb: float
    places: tuple[str, ...]
    folder: Path


def folders() -> dict[str, Path]:
    """Where each place is on this machine."""
    from huggingface_hub import constants

    compiled = os.environ.get("VLLM_CACHE_ROOT") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "vllm")
    return {
        "hub": Path(constants.HF_HUB_CACHE),
        "checkout": Path.cwd(),
        "cache": cache_folder(),
        "engine": Path(compiled).expanduser(),
    }


def volumes(places: Mapping[str, Path]) -> list[Volume]:
    """The file systems that hold `places`; a folder that is yet to be made lies where its parent does."""
    devices: dict[int, list[str]] = {}
    for place, folder in places.items():
        devices.setdefault(_existing(folder).stat().st_dev, []).append(place)
    return [
        Volume(shutil.disk_usage(_existing(places[names[0]])).free / 1e9, tuple(names), places[names[0]])
        for names in devices.values()
    ]


def download_gb(params: Params) -> float:
    """Decimal gigabytes to fetch; a model in two roles is fetched once."""
    return sum({model.name: model.download_gb for model in params.models.values()}.values())


def checkpoint_gb(params: Params) -> float:
    """Decimal gigabytes of one checkpoint of the student, 0 if none is written or its network is not known."""
    network = NETWORKS.get(params.models["student"].name)
    if network is None or params.train.epochs == 0:
        return 0.0
    trained = network.body if params.train.frozen_embeddings else network.weights
    return (TRAINED * trained + FROZEN * (network.weights - trained)) / 1e9


def checkpoints_gb(params: Params) -> float:
    """Decimal gigabytes of checkpoints that all students together write, one after another."""
    return len(PROVENANCES) * params.train.epochs * checkpoint_gb(params)


def stored(params: Params, *, linked: bool) -> list[Stored]:
    """What lies on the disk at most; with `linked` the models are second names of files in the hub's cache.

    A download that is converted is there twice, in parts and put together, and only until it is converted. Roles with
    the same model have one folder's bytes between them, and so have students whose encoder is not trained.
    """
    models = {model.name: model for model in params.models.values()}.values()
    fetched = [model for model in models if model.format == "huggingface"]
    converted = [model for model in models if model.format != "huggingface"]
    own = converted if linked else [*converted, *fetched]
    students = len(PROVENANCES) if params.train.epochs else 1
    compiled = COMPILED_GB if params.vllm.device == "cuda" else 0.0
    parts = [
        Stored("downloads", "hub", sum(model.download_gb for model in fetched)),
        Stored("models", "checkout", sum(model.folder_gb for model in own)),
        Stored("a conversion", "cache", max((2 * model.download_gb for model in converted), default=0.0)),
        Stored("checkpoints", "cache", CHECKPOINTS_AT_ONCE * checkpoint_gb(params)),
        Stored("students", "checkout", (students + EXPORTED) * params.models["student"].folder_gb),
        Stored("compiled kernels", "engine", compiled),
    ]
    return [part for part in parts if part.gb]


def lacking(parts: list[Stored], volume: Volume) -> str:
    """What does not fit on `volume`, in words; empty if all does."""
    here = [part for part in parts if part.place in volume.places]
    needed = sum(part.gb for part in here)
    if needed <= volume.free_gb:
        return ""
    moved = ", ".join(dict.fromkeys(MOVED_BY[part.place] for part in here if MOVED_BY[part.place]))
    sums = ", ".join(f"{part.what} {part.gb:.1f}" for part in here)
    hint = f"; {moved} move what is not the checkout's" if moved else ""
    return f"it may take {needed:.0f} GB of the disk of {volume.folder}, {volume.free_gb:.0f} are free: {sums}{hint}"


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
