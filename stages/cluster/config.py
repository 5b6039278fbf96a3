"""Section `execute`: who asks the language models."""

from __future__ import annotations

from stages.running.config import require, require_option, section

LOCAL = "local"


@section
class Execute:
    """Whether a stage asks its model itself, or `replicas` of it in a Ray do, which gives the same answers.

    `address` is `local` for a Ray of the stage's own, `auto` or host:port for a cluster. A replica has `cpus` cores,
    and on graphics cards `vllm.tensor_parallel_size` cards. `folder` holds questions and answers, at the same path on
    every node (None: in this machine's cache folder), in shards of about `shard` questions.
    """

    executor: str
    address: str
    folder: str | None
    replicas: int
    cpus: int
    shard: int

    def __post_init__(self) -> None:
        require_option("execute.executor", self.executor, ("process", "ray"))
        for name in ("replicas", "cpus", "shard"):
            require(getattr(self, name) >= 1, f"execute.{name} must be at least 1")
        require(
            self.folder is not None or self.address == LOCAL,
            f"execute.address={self.address} needs execute.folder: a folder that all nodes have at the same path",
        )
