"""The files of a run at another revision, from Git and from DVC's cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import RevError, SCMError
from dvc_data.index import DataIndexDirError

from stages.running.errors import DataError

LOCK = "dvc.lock"


@dataclass(frozen=True)
class Revision:
    """A revision that is open: its `name` as it was asked for, and the `commit` that this is."""

    name: str
    commit: str
    repo: Repo

    def fetch(self, paths: Sequence[str], folder: Path) -> dict[str, str]:
        """Copy the files at `paths` of the repository to the same paths in `folder`; of those not there, why.

        Raises:
            DataError: dvc.yaml or dvc.lock of the revision cannot be read.
        """
        with _explained(self.name):
            return {path: why for path in paths if (why := self._copy(path, folder / path))}

    def _copy(self, path: str, to: Path) -> str:
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.repo.dvcfs.open(path, "rb") as source, to.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        # The latter: the list of a folder's files is gone.
        except (FileNotFoundError, DataIndexDirError):
            to.unlink(missing_ok=True)
            return "no longer in DVC's cache" if self._was_made(path) else "never made by that run"
        return ""

    def _was_made(self, path: str) -> bool:
        """Whether dvc.lock names an output that is the file or has it."""
        try:
            with self.repo.dvcfs.open(LOCK, "rb") as file:
                stages = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader)).get("stages", {})
        except FileNotFoundError:
            return False
        outputs = {out["path"] for stage in stages.values() for out in stage.get("outs", [])}
        return any(str(output) in outputs for output in (Path(path), *Path(path).parents))


@contextmanager
def opened(name: str) -> Iterator[Revision]:
    """Open a revision of the repository that the working folder is: a commit, tag, branch, or DVC's experiment.

    Raises:
        DataError: there is no such revision, or no Git.
    """
    with _explained(name):
        repo = Repo(rev=name)
    with repo:
        yield Revision(name, repo.get_rev(), repo)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except RevError as error:
        raise DataError(
            f"{error}; to compare with, name a commit, a tag, a branch or an experiment of `dvc exp show`"
        ) from error
    except SCMError as error:
        raise DataError(
            "no Git here, so there is no other run to compare with; clone the repository, or `git init`"
        ) from error
    except DvcException as error:
        raise DataError(f"revision {name!r} cannot be read: {str(error).splitlines()[0]}") from error
