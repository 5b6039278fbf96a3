"""Replicas as actors of Ray Data: which of them takes which shard, and what becomes of one that dies.

Why `map_batches` over our own backend and not `ray.data.llm`: that of Ray 2.60 is made for vLLM 0.29 (its extra `llm`
pins it), and knows no tree of constrained tokens, by which a choice gets its exact probabilities.

What passes through Ray is names of files. Where an actor dies Ray runs its task again and takes for granted that the
second run gives the same objects in the same order; one that goes on from a journal does not.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stages.cluster.config import LOCAL, Execute
from stages.cluster.replica import Replica
from stages.running.errors import BackendError
from stages.running.interruption import ENDING

# Bytes of shared memory for Ray's objects, which are names of files.
OBJECT_STORE = 80 * 2**20
# Seconds between two looks at the journals while no shard is finished.
LOOK = 1.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Pool:
    """`execute.replicas` actors, each a `replica`; they live as long as one call of `answer`."""

    execute: Execute
    replica: Replica

    def answer(self, shards: Sequence[Path]) -> Generator[dict[str, str] | None, None, None]:
        """Yield what `Replica` says of each of `shards` when it is finished, and None every second or so meanwhile.

        Raises:
            BackendError: Ray is not installed or has no room for one replica, or a replica failed.
        """
        connect(self.execute)
        self._check_room()
        finished: queue.SimpleQueue[dict[str, str] | BaseException | None] = queue.SimpleQueue()
        ended = threading.Event()
        # Ray's iterator does not come back before a shard is finished.
        threading.Thread(target=self._run, args=(shards, finished, ended), daemon=True).start()
        left = len(shards)
        try:
            while left:
                try:
                    row = finished.get(timeout=LOOK)
                except queue.Empty:
                    row = None
                if isinstance(row, BaseException):
                    raise BackendError(f"Ray failed: {' '.join(str(row).split()):.500}") from row
                if row and row["failure"]:
                    raise BackendError(row["failure"])
                left -= row is not None
                yield row
        finally:
            ended.set()
            if left:
                # Ray Data's threads say at length that Ray has ended under them.
                logging.getLogger("ray.data").setLevel(logging.CRITICAL)

    @property
    def _cards(self) -> int:
        engine = self.replica.engine
        return engine.tensor_parallel_size if engine.device == "cuda" else 0

    def _check_room(self) -> None:
        import ray

        needed = {"CPU": self.execute.cpus, "GPU": self._cards}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= amount for name, amount in needed.items()) for node in nodes):
            raise BackendError(
                f"no node of Ray ({self.execute.address}) has the {needed['CPU']} cores and {needed['GPU']} cards of "
                f"one replica; there are {nodes}. Lower execute.cpus or vllm.tensor_parallel_size"
            )

    def _run(self, shards: Sequence[Path], finished: queue.SimpleQueue[Any], ended: threading.Event) -> None:
        try:
            for row in self._rows(shards):
                finished.put(row)
                if ended.is_set():
                    return
        except BaseException as error:  # told by whoever reads the queue
            finished.put(error)

    def _rows(self, shards: Sequence[Path]) -> Iterator[dict[str, str]]:
        import ray.data

        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        tasks = ray.data.from_items([{"shard": str(path)} for path in shards], override_num_blocks=len(shards))
        rows = tasks.map_batches(
            Replica,
            fn_constructor_kwargs={part.name: getattr(self.replica, part.name) for part in fields(Replica)},
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(
                size=min(self.execute.replicas, len(shards)), max_tasks_in_flight_per_actor=1
            ),
            num_cpus=self.execute.cpus,
            num_gpus=self._cards or None,
            # PyTorch and OpenMP would each take all cores for every replica.
            runtime_env={"env_vars": {"PYTHONPATH": path, "OMP_NUM_THREADS": str(self.execute.cpus)}},
        )
        yield from rows.iter_rows()


def connect(execute: Execute) -> None:
    """Start a Ray on this machine or join the one at `execute.address`, unless that is done; it ends with the process.

    Raises:
        BackendError: Ray is not installed, or there is none at that address.
    """
    # Read when Ray is imported. It sends its makers what it is used for, unless it is told not to, and starts a new
    # one for a thread that still asks it something when the process ends.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0"}
    # A line of C++ at every actor about its arguments.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise BackendError("execute.executor=ray needs Ray, which is not installed: run `make setup-scale`") from error
    if ray.is_initialized():
        return
    own = {
        "num_cpus": execute.replicas * execute.cpus,
        "object_store_memory": OBJECT_STORE,
        "include_dashboard": False,
    }
    handlers = {number: signal.getsignal(number) for number in ENDING}
    try:
        ray.init(
            address=execute.address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **own if execute.address == LOCAL else {},
        )
    except Exception as error:
        raise BackendError(f"there is no Ray at execute.address={execute.address}: {error}") from error
    finally:
        # Ray ends a process at SIGTERM by itself, without a word of what is kept.
        for number, handler in handlers.items():
            signal.signal(number, handler)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    settings = ray.data.DataContext.get_current()
    settings.enable_progress_bars = False
