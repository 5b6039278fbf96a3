"""Weights from the Hugging Face Hub, or from a folder that has the same layout."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import httpx2
from huggingface_hub import (
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import HFValidationError

from stages.common.links import link_or_copy
from stages.running.errors import ModelError

logger = logging.getLogger(__name__)

# Pickled weights (.bin, .pt) and Python files may run code when loaded, so they are never fetched.
ALLOWED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
# Seconds that the hub has to answer.
TIMEOUT = 5
IGNORED = ["onnx/*", "openvino/*", "original/*", "consolidated*"]


def fetch(repo: str, revision: str, folder: Path) -> None:
    """Bring a repository's safetensors, tokenizer and configuration into `folder`, through the user's hub cache.

    Raises:
        ModelError: the hub, the repository or the revision cannot be reached, or it has no safetensors.
    """
    if not is_commit(revision):
        logger.warning(
            "%s: revision %r is not a commit, so the weights are unpinned and may change; `make pin` writes the commit "
            "that was fetched into conf/",
            repo,
            revision,
        )
    link(_snapshot(repo, revision, ALLOWED), folder)


def fetch_file(repo: str, name: str, revision: str, digest: str | None, folder: Path) -> Path:
    """Bring one file of a repository into `folder`, or find it in the user's hub cache; return its path.

    The hub is asked once, without retries, before anything is downloaded: whoever has no hub loses seconds, and a file
    that the hub itself says is another is not fetched. `digest`: its SHA-256, for that comparison.

    Raises:
        ModelError: the hub, the repository, the revision or the file cannot be reached, or it is another file.
    """
    cached = try_to_load_from_cache(repo, name, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    try:
        known = get_hf_file_metadata(hf_hub_url(repo, name, revision=revision), timeout=TIMEOUT).etag or ""
        # The hub's tag of a large file is its SHA-256.
        if digest and re.fullmatch(r"[0-9a-f]{64}", known) and known != digest:
            raise ModelError(f"{name} of {repo} at {revision} has SHA-256 {known} on the hub, and {digest} is expected")
        return Path(hf_hub_download(repo, name, revision=revision, local_dir=folder, etag_timeout=TIMEOUT))
    except (OSError, HFValidationError, httpx2.HTTPError) as error:
        raise ModelError(
            f"cannot fetch {name} of {repo} at {revision} from the model hub: {_first_line(error)}"
        ) from error


def is_commit(revision: str | None) -> bool:
    """Whether `revision` is a full commit, which always means the same bytes."""
    return re.fullmatch(r"[0-9a-f]{40}", revision or "") is not None


def commit(repo: str, revision: str) -> str:
    """The commit (40 hex digits) that a branch or tag stands for: as it was fetched, else as the hub has it now.

    Raises:
        ModelError: neither the hub cache nor the hub knows the repository and the revision.
    """
    try:
        fetched = snapshot_download(repo, revision=revision, allow_patterns=["config.json"], local_files_only=True)
    except (OSError, HFValidationError):
        return _snapshot(repo, revision, ["config.json"]).name
    return Path(fetched).name


def link(source: Path, folder: Path, bring: Callable[[Path, Path], object] = link_or_copy) -> None:
    """Hard-link, or copy across file systems, the allowed files of a Hugging Face folder into `folder`.

    `bring` gives a file its place in `folder`.

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
        bring((source / name).resolve(), target)


def _snapshot(repo: str, revision: str, patterns: list[str]) -> Path:
    """The folder of the hub cache that holds the wanted files; its name is the commit."""
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, ignore_patterns=IGNORED))
    except (OSError, HFValidationError) as error:
        raise ModelError(
            f"cannot fetch {repo} at {revision} from the model hub: {str(error).splitlines()[0]} Connect (HF_ENDPOINT "
            "names a mirror, HF_TOKEN opens gated repositories), or put the folder on this machine and set "
            "source: path, or choose a model with source: pypi."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
