"""The Hugging Face hub on loopback: what its client sends to make a repository and to put a commit into it.

It keeps files as the hub does: small ones in commits, large ones by their SHA-256, in one piece or in parts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OWNER, TOKEN, READ_TOKEN = "shop", "hf_write", "hf_read"
# What is larger goes up in parts of this many bytes.
PART = 2**16
LARGE = re.compile(r"\.(onnx|safetensors|parquet)$")


@dataclass
class Repository:
    """`files` by their paths, of the last commit; `commits` the operations of each."""

    visibility: str
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[list[str]] = field(default_factory=list)


class Hub:
    """`repositories` by kind and name; `uploaded`: SHA-256 of each large file that came, once for each time it came.

    `disturb` is called before a request is answered, and may cut the connection by raising `Cut`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.uploaded: list[str] = []
        self.disturb: Callable[[str, str], None] = lambda method, path: None

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON."""
        if method == "PUT":
            return self._store(path.removeprefix("/upload/"), body)
        # As on the hub, the URLs of uploads are signed; no token comes with them.
        if path.startswith("/complete/"):
            given = json.loads(body)
            parts = self.parts.pop(given["oid"])
            return self._keep(given["oid"], b"".join(parts[part["partNumber"]] for part in given["parts"]))
        if token not in (TOKEN, READ_TOKEN):
            return 401, {"error": "Invalid username or password."}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            return self._create(json.loads(body), token)
        if path == "/verify":
            given = json.loads(body)
            return (200, {}) if len(self.large.get(given["oid"], b"")) == given["size"] else (404, {"error": "no"})
        if found := re.fullmatch(r"/(?:(dataset)s/)?([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", path):
            objects = json.loads(body)["objects"]
            return 200, {"transfer": "basic", "objects": [self._where(file["oid"], file["size"]) for file in objects]}
        found = re.fullmatch(
            r"/api/(model|dataset)s/([\w.-]+/[\w.-]+?)(?:/(preupload|commit|revision|tree)/main)?", path
        )
        assert found, f"{method} {path} is unknown here"
        kind, name, asked = found.groups()
        repository = self.repositories.get((kind, name))
        if repository is None:
            return 404, {"error": "Repository not found"}
        if asked in (None, "revision"):
            return 200, {
                "id": name, "sha": f"{len(repository.commits):040x}", "private": repository.visibility == "private",
                "siblings": [{"rfilename": path} for path in sorted(repository.files)], "tags": [], "downloads": 0,
                "likes": 0,
            }  # fmt: skip
        if asked == "tree":
            files = sorted(repository.files.items())
            return 200, [{"type": "file", "path": path, "size": len(held), "oid": "0" * 40} for path, held in files]
        if token != TOKEN:
            return 403, {"error": "You don't have the rights to write here"}
        if asked == "preupload":
            return 200, {"files": [self._mode(repository, file["path"]) for file in json.loads(body)["files"]]}
        return self._commit(kind, name, [json.loads(line) for line in body.splitlines()])

    def _create(self, given: dict[str, Any], token: str) -> tuple[int, Any]:
        kind, name = given.get("type", "model"), f"{given['organization']}/{given['name']}"
        if given["organization"] != OWNER or token != TOKEN:
            return 403, {"error": f"You don't have the rights to create a {kind} under {given['organization']}"}
        url = f"{self.url}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if (kind, name) in self.repositories:
            return 409, {"error": f"You already created this {kind} repo", "url": url}
        self.repositories[kind, name] = Repository(given["visibility"], {".gitattributes": b"*.onnx filter=lfs\n"})
        return 200, {"url": url}

    def _mode(self, repository: Repository, path: str) -> dict[str, Any]:
        large, content = bool(LARGE.search(path)), repository.files.get(path)
        known = {}
        if content is not None:
            blob = b"blob %d\0" % len(content) + content
            known = {"oid": hashlib.sha256(content).hexdigest() if large else hashlib.sha1(blob).hexdigest()}
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, **known}

    def _where(self, oid: str, size: int) -> dict[str, Any]:
        if oid in self.large:
            return {"oid": oid, "size": size}
        upload: dict[str, Any] = {"href": f"{self.url}/upload/{oid}"}
        if size > PART:
            numbers = range(1, -(-size // PART) + 1)
            header = {f"{number:05}": f"{self.url}/upload/{oid}/{number}" for number in numbers}
            upload = {"href": f"{self.url}/complete/{oid}", "header": {"chunk_size": str(PART), **header}}
        return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": {"href": f"{self.url}/verify"}}}

    def _store(self, name: str, body: bytes) -> tuple[int, Any]:
        oid, _, number = name.partition("/")
        if not number:
            return self._keep(oid, body)
        self.parts.setdefault(oid, {})[int(number)] = body
        return 200, {}

    def _keep(self, oid: str, content: bytes) -> tuple[int, Any]:
        assert hashlib.sha256(content).hexdigest() == oid
        self.large[oid] = content
        self.uploaded.append(oid)
        return 200, {}

    def _commit(self, kind: str, name: str, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        repository = self.repositories[kind, name]
        done = []
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del repository.files[value["path"]]
            else:
                assert line["key"] == "header"
                continue
            done.append(value["path"])
        repository.commits.append(done)
        oid = f"{len(repository.commits):040x}"
        return 200, {"commitUrl": f"{self.url}/{name}/commit/{oid}", "commitOid": oid}


class Cut(Exception):
    """The connection ends here."""


@contextmanager
def hub_on_loopback() -> Iterator[Hub]:
    """A hub at its `url`."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply(b"")

        def do_POST(self) -> None:
            self.reply(self.body())

        def do_PUT(self) -> None:
            self.reply(self.body())

        def body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def reply(self, body: bytes) -> None:
            path = self.path.partition("?")[0]
            try:
                hub.disturb(self.command, path)
            except Cut:
                self.close_connection = True
                return
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, content = hub.answer(self.command, path, token, body)
            given = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(given)))
            self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
            self.end_headers()
            self.wfile.write(given)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
