"""The process itself: what it imports, how it starts, answers, and ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

import stages.serve
from stages.running.errors import RazmetkaError
from tests.conftest import ROOT

COMMAND = [sys.executable, "-m", "stages.serve"]


@contextmanager
def running(student: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A service on a free port, once it is ready; its address."""
    command = [*COMMAND, "--port", "0", "--model", str(student), *options]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+) serves", said)):
            line = process.stderr.readline()
            assert line, f"it ended before it was ready: {said}"
            said += line
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def until_refused(address: str) -> None:
    """Wait until the service takes no more connections."""
    for _ in range(100):
        try:
            httpx2.get(f"{address}/health", timeout=20)
        except httpx2.TransportError:
            return
        time.sleep(0.05)
    raise AssertionError("it takes connections all the same")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_answers_what_is_open_before_it_ends(number: signal.Signals, student_folder: Path) -> None:
    with running(student_folder) as (process, address):
        assert httpx2.get(f"{address}/health", timeout=20).json()["ready"]
        url = httpx2.URL(address)
        body = '{"text": "сапоги"}'.encode()
        with socket.create_connection((url.host, url.port), timeout=20) as slow:
            head = f"POST /predict HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Type: application/json\r\n"
            slow.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:9])
            time.sleep(0.3)
            process.send_signal(number)
            until_refused(address)
            assert process.poll() is None
            slow.sendall(body[9:])
            answer = b"".join(iter(lambda: slow.recv(2**16), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert "обувь".encode() in answer
        assert process.wait(20) == 0


def test_neither_torch_nor_pandas_is_imported(student_folder: Path, index_folder: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from fastapi.testclient import TestClient
import stages.serve
from stages.serving.settings import Settings
app = stages.serve.create_app(Settings(Path({str(student_folder)!r}), Path({str(index_folder)!r})))
with TestClient(app, base_url="http://localhost") as client:
    assert client.post("/predict", json={{"text": "сапоги"}}).json()["category"] == "обувь"
    assert client.post("/neighbours", json={{"text": "сапоги"}}).json()["neighbours"]
heavy = ("torch", "transformers", "vllm", "pandas", "scipy", "sklearn", "datasets", "matplotlib")
print(*(name for name in heavy if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_what_keeps_it_from_starting_is_said_in_a_line(student_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*COMMAND, "--port", port, "--model", str(student_folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1:{port} cannot be listened on (Address already in use)" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "missing"], "missing does not exist: `make repro` makes a student"),
        (["--model", "."], "holds no exported student"),
        (["--host", "203.0.113.7"], "203.0.113.7:0 cannot be listened on"),
        (["--host", "no.such.name.invalid"], "no.such.name.invalid:0 cannot be listened on"),
    ],
    ids=["no folder", "no student", "another's address", "no address"],
)
def test_what_is_missing_is_named(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["serve", "--port", "0", *options])
    with pytest.raises(RazmetkaError, match=re.escape(said)):
        stages.serve.main()


def test_bound_elsewhere_it_warns_and_answers_to_any_name(student_folder: Path) -> None:
    command = [*COMMAND, "--host", "0.0.0.0", "--port", "0", "--model", str(student_folder)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = ""
        while "serves" not in said:
            said += process.stderr.readline()
        assert re.search(r"WARNING .*whoever reaches 0\.0\.0\.0 may ask: there are no passwords", said)
        found = re.search(r"http://0\.0\.0\.0:(\d+)", said)
        assert found
        health = httpx2.get(f"http://127.0.0.1:{found[1]}/health", headers={"host": "shop.example"}, timeout=20)
        assert health.status_code == 200
    finally:
        process.kill()
        process.communicate()
