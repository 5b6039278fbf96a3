"""The real client pushes student and dataset over real sockets to a hub on loopback, which keeps what came."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import huggingface_hub.utils._http
import pytest

from stages.publishing.contents import NOTICE, contents
from stages.publishing.errors import PublishError
from stages.publishing.hub import check_name, push
from tests.hub import OWNER, READ_TOKEN, TOKEN, Cut, Hub, hub_on_loopback
from tests.unit.publishing.conftest import composed

STUDENT = [
    "NOTICE", "README.md", "config.json", "example.py", "manifest.json", "model.safetensors", "onnx/classifier.json",
    "onnx/manifest.json", "onnx/model.onnx", "onnx/tokenizer.json",
]  # fmt: skip
DATASET = ["NOTICE", "README.md", "manifest.json", "test.parquet", "train.parquet", "validation.parquet"]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_on_loopback() as made:
        yield made


@pytest.fixture
def client(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client in this process talks to the hub on loopback, and waits for nothing."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda seconds: None)
    huggingface_hub.utils.close_session()


def publish(hub: Hub, *arguments: str) -> subprocess.Popen[str]:
    """The command in the working folder, as a user runs it."""
    environment = os.environ | {
        "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "stages.publish", *arguments], env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def succeeded(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    return out


def test_both_arrive_byte_for_byte_and_once(finished: Path, hub: Hub) -> None:
    told = succeeded(publish(hub, "--to", "shop/reviews", "--accept", "gemma"))
    kept = {kind: repository for (kind, _), repository in hub.repositories.items()}
    assert list(hub.repositories) == [("model", "shop/reviews"), ("dataset", "shop/reviews-dataset")]
    for kind, what, names in (("model", "student", STUDENT), ("dataset", "dataset", DATASET)):
        assert kept[kind].visibility == "private"
        assert kept[kind].commits == [names]
        for name in set(names) - {NOTICE}:
            assert kept[kind].files[name] == (finished / "data" / what / name).read_bytes(), name
    notice = kept["model"].files[NOTICE].decode()
    assert "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms" in notice
    assert f"{hub.url}/shop/reviews/commit/" in told
    # Again: nothing has changed, so nothing is sent, and there is no commit.
    uploaded = list(hub.uploaded)
    succeeded(publish(hub, "--to", "shop/reviews", "--accept", "gemma"))
    assert hub.uploaded == uploaded
    assert [len(repository.commits) for repository in hub.repositories.values()] == [1, 1]


def test_killed_half_way_the_same_command_sends_the_rest(finished: Path, hub: Hub) -> None:
    arrived, wait = threading.Event(), threading.Event()

    def hang(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/commit/main"):
            arrived.set()
            wait.wait(60)
            raise Cut

    hub.disturb = hang
    command = ["--to", "shop/reviews", "--what", "student", "--accept", "gemma"]
    process = publish(hub, *command)
    assert arrived.wait(60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    uploaded = list(hub.uploaded)
    assert uploaded
    assert hub.repositories["model", "shop/reviews"].commits == []
    hub.disturb = lambda method, path: None
    wait.set()
    succeeded(publish(hub, *command))
    assert hub.uploaded == uploaded
    assert hub.repositories["model", "shop/reviews"].commits[-1] == STUDENT


@pytest.mark.usefixtures("client")
def test_a_connection_that_is_cut_once_is_tried_again(finished: Path, hub: Hub) -> None:
    cuts = []

    def cut_once(method: str, path: str) -> None:
        if method == "PUT" and not cuts:
            cuts.append(path)
            raise Cut

    hub.disturb = cut_once
    push("shop/reviews", contents("student", ""), public=False, prune=False)
    assert cuts
    assert len(hub.uploaded) == len(set(hub.uploaded)) == 2


@pytest.mark.usefixtures("client")
def test_a_hub_that_is_lost_half_way_is_told_and_what_came_is_not_sent_again(finished: Path, hub: Hub) -> None:
    def lose_parts(method: str, path: str) -> None:
        # The first part of each large file comes, the others never.
        if method == "PUT" and path.endswith("/2"):
            raise Cut

    hub.disturb = lose_parts
    with pytest.raises(PublishError, match=r"shop/reviews: the hub did not get all .* the same command goes on"):
        push("shop/reviews", contents("student", ""), public=False, prune=False)
    assert hub.repositories["model", "shop/reviews"].commits == []
    hub.disturb = lambda method, path: None
    push("shop/reviews", contents("student", ""), public=False, prune=False)
    assert sorted(hub.repositories["model", "shop/reviews"].files) == [".gitattributes", *STUDENT]


@pytest.mark.usefixtures("client")
def test_what_is_not_of_this_run_is_named_and_goes_if_asked(finished: Path, hub: Hub) -> None:
    push("shop/reviews", contents("dataset", ""), public=False, prune=False)
    files = hub.repositories["dataset", "shop/reviews"].files
    files["old.parquet"] = b"old"
    assert push("shop/reviews", contents("dataset", ""), public=False, prune=False).others == ["old.parquet"]
    assert push("shop/reviews", contents("dataset", ""), public=False, prune=True).others == []
    assert sorted(files) == [".gitattributes", *DATASET]


@pytest.mark.usefixtures("client")
def test_nothing_becomes_public_unasked(finished: Path, hub: Hub) -> None:
    push("shop/open", contents("dataset", ""), public=True, prune=False)
    repository = hub.repositories["dataset", "shop/open"]
    assert repository.visibility == "public"
    with pytest.raises(PublishError, match="shop/open is open to everybody already: say --public"):
        push("shop/open", contents("dataset", "changed"), public=False, prune=False)
    assert len(repository.commits) == 1


@pytest.mark.parametrize(
    ("token", "repo", "message"),
    [
        ("", f"{OWNER}/reviews", "no token of the Hugging Face hub was found: make one"),
        ("hf_unknown", f"{OWNER}/reviews", "the hub does not know the token"),
        (READ_TOKEN, f"{OWNER}/reviews", "the hub does not let this token write there"),
        (TOKEN, "another/reviews", "the hub does not let this token write there"),
    ],
    ids=["no-token", "unknown-token", "read-token", "another-owner"],
)
@pytest.mark.usefixtures("client")
def test_who_may_not_write_is_told_why(
    token: str, repo: str, message: str, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(PublishError, match=message) as raised:
        push(repo, contents("dataset", ""), public=False, prune=False)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("client")
def test_without_a_network_it_says_so(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PublishError, match=r"the hub did not get all .* See that it can be reached"):
        push("shop/reviews", contents("dataset", ""), public=False, prune=False)


@pytest.mark.usefixtures("client")
def test_something_else_of_that_name(finished: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = hub.answer

    def taken(method: str, path: str, token: str, body: bytes) -> tuple[int, object]:
        if "/commit/" in path:
            return 409, {"error": "This name is that of a space"}
        return answer(method, path, token, body)

    monkeypatch.setattr(hub, "answer", taken)
    with pytest.raises(PublishError, match=r"something else of that name is there.*This name is that of a space"):
        push("shop/reviews", contents("dataset", ""), public=False, prune=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [("reviews", "names no owner; write TO=you/reviews"), ("shop/от зывы", "no name"), ("a/b/c", "no name")],
)
def test_a_name_that_cannot_be(name: str, message: str) -> None:
    with pytest.raises(PublishError, match=message):
        check_name(name)


def test_a_dry_run_needs_no_network_and_lists_every_file(finished: Path, hub: Hub) -> None:
    def unasked(method: str, path: str) -> None:
        raise AssertionError(path)

    hub.disturb = unasked
    told = succeeded(publish(hub, "--to", "shop/reviews", "--dry-run"))
    sizes = contents("student", "").sizes
    assert f"{sizes['model.safetensors']:,}  model.safetensors" in told
    listed = [line.split()[-1] for line in told.splitlines() if line.startswith("  ")]
    assert listed == [*STUDENT, *DATASET]
    assert "data/student to the model shop/reviews on the hub, private" in told
    assert "data/dataset to the dataset shop/reviews-dataset on the hub, private" in told
    assert "--accept gemma says: you have accepted Google's terms" in told
    assert hub.repositories == {}


def test_nothing_is_sent_that_was_not_agreed_to(finished: Path, hub: Hub) -> None:
    composed(["data=own", "data.path=shop.csv"])
    process = publish(hub, "--to", "shop/reviews", "--accept", "gemma")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("PublishError: nothing was passed on; read the terms")
    assert "--accept reviews." in err
    assert hub.repositories == {}
