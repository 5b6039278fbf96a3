"""Servers for tests: vLLM's own with a random model, and one that answers as a test says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from stages.composition.compose import compose
from stages.composition.params import Params
from stages.llm.config import Server
from stages.llm.openai_backend import OpenAIBackend
from stages.weights.resolve import resolve
from tests.conftest import ROOT

# As the backend sets them for an engine in this process.
ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    # One process to kill: the engine in that of the server.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}
# Seconds for a start on a machine that does other things too.
START = 240
# What the server is asked, how often before, and what it answers: status, JSON or None for silence, headers.
Answers = Callable[[str, dict[str, Any], int], tuple[int, Any, dict[str, str]]]


class VllmServer:
    """`vllm serve` on loopback; `answered` counts what it has answered of one kind since it was started."""

    def __init__(self, model: Path, log: Path) -> None:
        self.log = log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        # The module that `vllm serve` runs: the command itself asks for a distribution of another name on a CPU.
        self._command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
        self._command += f"--served-model-name tiny --host 127.0.0.1 --port {port} --dtype float32".split()
        self._command += [
            "--enforce-eager",
            "--max-model-len",
            "512",
            "--max-num-seqs",
            "16",
            "--max-num-batched-tokens",
            "512",
        ]
        self._command += ["--no-enable-chunked-prefill", "--block-size", "32", "--generation-config", "vllm"]

    def start(self) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=os.environ | ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        until = time.monotonic() + START
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/models", trust_env=False).is_success:
                    return
            except httpx2.TransportError:
                time.sleep(0.2)
        raise AssertionError(self.log.read_text()[-4000:])

    def answered(self, path: str) -> int:
        return self.log.read_text().count(f'"POST {path} HTTP/1.1" 200')

    def kill(self) -> None:
        """Kill -9, children too."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def answering(answers: Answers) -> Iterator[str]:
    """The URL of a server on loopback that answers so."""
    asked: dict[str, int] = {}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer({})

        def do_POST(self) -> None:
            self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def answer(self, body: dict[str, Any]) -> None:
            with lock:
                before = asked.get(text := json.dumps(body.get("messages") or body.get("prompt")), 0)
                asked[text] = before + 1
            status, content, headers = answers(self.path, body, before)
            if callable(content):
                content = content(self.headers)
            given = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": len(given), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(given)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def backend_of(folder: Path, url: str, **settings: Any) -> OpenAIBackend:
    """A backend for the server at `url`, by way of the configuration and of stage `models`."""
    params = composed()
    model = params.models["teacher"]
    assert isinstance(model.server, Server)
    resolve(replace(model, server=replace(model.server, url=url, **settings)), folder / "teacher")
    return OpenAIBackend(folder / "teacher", params.vllm)


@cache
def composed() -> Params:
    with TemporaryDirectory() as folder:
        return compose(Path(folder) / "params.yaml", ["teacher=openai", "server.model=tiny"], ROOT / "conf")
