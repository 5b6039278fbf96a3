"""One override leaves language models to a server; what it cannot give is refused before a stage asks for it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from stages.composition.compose import compose
from stages.composition.params import Params
from stages.doctor import asked_servers, needs, obstacles
from stages.hardware.disk import download_gb, stored
from stages.hardware.machine import look
from stages.llm.backend import open_backend
from stages.llm.spending import Spent, spending
from stages.running.errors import ConfigError
from stages.weights.resolve import resolve
from tests.conftest import ROOT
from tests.served import answering

HERE = ["teacher=openai", "server.url=http://gpu:8000/v1", "server.model=org/NAME"]


def composed(folder: Path, *overrides: str) -> Params:
    return compose(folder / "params.yaml", list(overrides), ROOT / "conf")


def test_one_override_gives_both_roles_to_one_server(tmp_path: Path) -> None:
    params = composed(tmp_path, *HERE, "profile=gpu")
    teacher, generator = params.models["teacher"], params.models["generator"]
    assert teacher == generator
    assert (teacher.name, teacher.server.url) == ("org/NAME", "http://gpu:8000/v1")
    assert (params.label.backend, params.generate.backend, params.vllm.device) == ("openai", "openai", "cpu")
    # The same as in profile=gpu: a large model.
    assert (params.label.calibration, params.generate.filters.readers) == ("none", "both")
    # One server answers generator and reader, who are one model to the stage.
    for role, model in (("teacher", teacher), ("generator", generator)):
        resolve(model, tmp_path / role)
    one, other = (open_backend("openai", tmp_path / role, params.vllm) for role in ("teacher", "generator"))
    assert one.identity == other.identity


def test_roles_may_have_servers_of_their_own(tmp_path: Path) -> None:
    params = composed(tmp_path, *HERE, "models.generator.server.url=http://other/v1")
    assert params.models["generator"].server.url == "http://other/v1"
    assert params.models["teacher"].server.url == "http://gpu:8000/v1"
    params = composed(tmp_path, *HERE, "models/generator=qwen2.5-coder-1.5b", "generate.backend=vllm")
    assert params.models["generator"].server is None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["server.url=http://me:SECRET@gpu/v1"], "holds credentials or a query"),
        (["server.url=http://gpu/v1?key=SECRET"], "holds credentials or a query"),
        (["server.url=gpu:8000"], r"is not http\(s\)://host/v1"),
        (["server.model=''"], "server.model is empty"),
        (["server.probabilities=some"], "choose one of exact, top, votes"),
        (["label.backend=vllm"], "models.teacher.source=server: a server's model goes with backend=openai"),
        (["models/generator=qwen3-14b"], "generate.backend=openai and models.generator.source=hub"),
        (["server.probabilities=votes", "label.calibration=contextual"], "label.calibration=contextual needs"),
        (["server.probabilities=top", "prompt=fewshot"], "choose a prompt with chat=true"),
        (["server.probabilities=top"], "generate.base.repetition_penalty is vLLM's alone"),
    ],
)
def test_what_a_server_cannot_give_is_refused(overrides: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        composed(tmp_path, "teacher=openai", *overrides)
    assert "SECRET" not in str(raised.value)
    assert not (tmp_path / "params.yaml").exists()


def test_a_hosted_model_is_asked_for_no_more_than_it_has(tmp_path: Path) -> None:
    params = composed(tmp_path, "teacher=hosted")
    assert (params.models["teacher"].server.probabilities, params.generate.mode) == ("top", "chat")
    votes = ["teacher=hosted", "server.probabilities=votes"]
    assert composed(tmp_path, *votes, "label.calibration=batch").models["teacher"].server.probabilities == "votes"
    with pytest.raises(ConfigError, match=r"generate\.style\.min_mean_logprob needs log-probabilities.*set null"):
        composed(tmp_path, *votes, "generate.style.min_mean_logprob=-1.0")


def test_nothing_is_fetched_and_a_price_or_a_key_is_in_no_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    params = composed(tmp_path, *HERE, "server.price={prompt: 1.0, cached: 0.5, written: 4.0}")
    folder = tmp_path / "teacher"
    provenance = resolve(params.models["teacher"], folder)
    assert (provenance["sha256"], provenance["source"], provenance["model"]) == ({}, "server", "org/NAME")
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "provenance.json", "server.json"]
    # A new price asks nothing anew: the folder that `label` depends on stays as it is.
    assert json.loads((folder / "server.json").read_text())["price"] is None
    assert "OPENAI_API_KEY" in (tmp_path / "params.yaml").read_text()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"sk-secret" in path.read_bytes()]
    local = composed(tmp_path, "profile=cpu")
    assert download_gb(params) < download_gb(local)
    kept, locally = (sum(part.gb for part in stored(given, linked=False)) for given in (params, local))
    assert kept < locally


def test_doctor_asks_the_server_what_it_has(tmp_path: Path, monkeypatch) -> None:
    models = {"object": "list", "data": [{"id": "org/NAME", "object": "model", "created": 0, "owned_by": "x"}]}
    with answering(lambda path, body, before: (200, models, {})) as url:
        params = composed(tmp_path, *HERE, f"server.url={url}")
        lines, faults = asked_servers(params)
        assert lines == [f"server    {url} has org/NAME; the key is in OPENAI_API_KEY"]
        assert not faults
        _, faults = asked_servers(composed(tmp_path, *HERE, f"server.url={url}", "server.model=other"))
        assert faults == [f"server.model=other is none of those that {url} has"]
    _, (fault,) = asked_servers(params)
    assert "does not answer: is the server running?" in fault
    assert asked_servers(composed(tmp_path)) == ([], [])
    machine = look()
    assert not obstacles(params, machine, [])
    assert any("teacher org/NAME" in line for line in needs(params, machine, []))
    assert any(line == "graphics  none" for line in needs(params, machine, []))


def test_what_answers_of_servers_took_has_a_price(tmp_path: Path) -> None:
    params = composed(tmp_path, *HERE, "models.generator.server.price={prompt: 1.0, cached: 0.5, written: 4.0}")
    servers = {role: model.server for role, model in params.models.items()}
    taken = {"label": {"teacher": Spent(2, 10, 0, 3)}, "generate": {"generator": Spent(5, 3_000_000, 1_000_000, 500)}}
    table = spending(taken, servers)
    assert table["cost"].isna().tolist() == [True, False]
    assert math.isclose(table["cost"][1], 2.0 + 0.5 + 0.002)
    assert table[["stage", "role", "model", "probabilities", "requests"]].to_numpy().tolist() == [
        ["label", "teacher", "org/NAME", "exact", 2],
        ["generate", "generator", "org/NAME", "exact", 5],
    ]
    nobody = {role: model.server for role, model in composed(tmp_path).models.items()}
    assert spending(taken, nobody).empty
