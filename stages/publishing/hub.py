"""A folder to a repository of the Hugging Face hub, in one commit, by the hub's own client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils._validators import validate_repo_id

from stages.publishing.contents import Contents
from stages.publishing.errors import PublishError

# What the hub puts into a repository by itself.
HUBS_OWN = {".gitattributes"}
LOG_IN = "make one with the right to write at huggingface.co/settings/tokens, then set HF_TOKEN or run `hf auth login`"


@dataclass(frozen=True)
class Pushed:
    """`commit`: the URL of the repository's last commit. `others`: what it has beside the files that were sent."""

    commit: str
    others: list[str]


def check_name(repo: str) -> None:
    """See that `repo` is a name that the hub takes.

    Raises:
        PublishError: it is none, or names no owner.
    """
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise PublishError(f"{repo!r} is no name of a repository: {_first_line(error)}") from error
    if "/" not in repo:
        raise PublishError(f"{repo!r} names no owner; write TO=you/{repo}")


def push(repo: str, given: Contents, *, public: bool, prune: bool) -> Pushed:
    """Make `repo` hold the files of `given`; what it has of them already is not sent again.

    A new repository is private unless `public`. With `prune`, what else it holds is deleted in the same commit.

    Raises:
        PublishError: there is no token, or the hub does not answer, does not know it or refuses; the repository is open
            to everybody and `public` was not said. The same command goes on.
    """
    if get_token() is None:
        raise PublishError(f"no token of the Hugging Face hub was found: {LOG_IN}")
    api = HfApi()
    with _explained(repo):
        api.create_repo(repo, repo_type=given.kind, private=not public, exist_ok=True)
        info = api.repo_info(repo, repo_type=given.kind)
        held = api.list_repo_files(repo, repo_type=given.kind)
        if not (public or info.private):
            raise PublishError(
                f"{repo} is open to everybody already: say --public, or make it private on the hub first"
            )
        others = sorted(set(held) - set(given.files) - HUBS_OWN)
        operations = [CommitOperationAdd(name, content) for name, content in given.files.items()]
        done = api.create_commit(
            repo,
            [*operations, *(CommitOperationDelete(name) for name in others if prune)],
            commit_message=f"The {given.what} of a run of Razmetka",
            repo_type=given.kind,
        )
    return Pushed(str(done.commit_url), [] if prune else others)


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    """What a failure of the hub means for the user."""
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise PublishError("HF_HUB_OFFLINE=1 keeps everything from the hub; unset it") from error
    # hf_xet has no kind of its own for a lost connection.
    except (OSError, httpx2.HTTPError, RuntimeError, ValueError) as error:
        # The client's threads wrap what an upload met.
        met = error.__cause__ if type(error) is RuntimeError and error.__cause__ else error
        if isinstance(met, HfHubHTTPError):
            raise PublishError(f"{repo}: {_refusal(met)}") from error
        raise PublishError(
            f"{repo}: the hub did not get all ({_first_line(met)}), its repository is as it was. See that it can be "
            "reached (HF_ENDPOINT names another); the same command goes on, and sends nothing twice"
        ) from error


def _refusal(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    said = _first_line(error.server_message or error)
    if status == 401:
        return f"the hub does not know the token ({said}): {LOG_IN}"
    if status in (402, 403, 404):
        return f"the hub does not let this token write there ({said}): name a repository of yours, or {LOG_IN}"
    if status == 409:
        return f"something else of that name is there, or it was changed meanwhile ({said}): name another by TO="
    if status == 429 or status >= 500:
        return f"the hub is busy or out of order ({said}): wait, and the same command goes on"
    return f"the hub refuses it ({said})"


def _first_line(error: object) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
