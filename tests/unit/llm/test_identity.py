"""Two models that may answer otherwise have two names in the cache, whatever a note beside the weights says."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stages.common import digests
from stages.common.manifest import MANIFEST
from stages.composition.params import Params
from stages.llm import backend, vllm_backend
from stages.llm.backend import open_backend
from stages.running.errors import ModelError
from stages.running.io import read_json, write_json
from stages.weights.config import Model
from stages.weights.resolve import resolve
from tests.tiny_models import nli, qwen3, sample_texts


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`vllm` and `nli` as the stage `models` leaves them."""
    made = tmp_path_factory.mktemp("made")
    for name, make in (("vllm", qwen3), ("nli", nli)):
        make(made / "made" / name, sample_texts()[:100])
        resolve(Model(name=name, source="path", license="MIT", path=str(made / "made" / name)), made / name)
    return made


@pytest.fixture(params=["vllm", "nli"])
def folder(models: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return shutil.copytree(models / request.param, tmp_path / request.param)


def identity(folder: Path, params: Params, **settings: object) -> str:
    return open_backend(folder.name, folder, replace(params.vllm, **settings)).identity


def overwrite_weights(folder: Path) -> None:
    """Another number in the same file: size and time of change stay, and so does the note."""
    path = folder / "model.safetensors"
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def edit(folder: Path, name: str, **values: object) -> None:
    path = folder / name
    content = json.loads(path.read_text()) | values
    path.unlink()
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        overwrite_weights,
        lambda folder: edit(folder, "config.json", rope_theta=12345.0),
        lambda folder: edit(folder, "tokenizer_config.json", chat_template="{{ messages[0].content }}"),
        lambda folder: edit(folder, "tokenizer.json", normalizer={"type": "NFKC"}),
    ],
    ids=["weights", "config", "chat template", "tokenizer"],
)
def test_every_byte_of_the_folder_counts(change, folder, params, monkeypatch):
    # So that digests are kept from the first moment on.
    monkeypatch.setattr(digests, "_SETTLED", -1.0)
    before = identity(folder, params)
    assert identity(folder, params) == before
    change(folder)
    with pytest.raises(ModelError, match="is not what was written"):
        identity(folder, params)
    # A folder that was not made here has no list of its files.
    (folder / MANIFEST).unlink()
    assert identity(folder, params) != before


def test_the_note_beside_the_weights_and_their_place_do_not(folder, params):
    before = identity(folder, params)
    write_json(folder / "provenance.json", read_json(folder / "provenance.json") | {"name": "another"})
    moved = folder.rename(folder.with_name("elsewhere"))
    made = open_backend("nli" if "nli" in before else "vllm", moved, params.vllm)
    assert (made.identity, made.name) == (before, "another")


@pytest.mark.parametrize("library", ["torch", "transformers", "tokenizers", "vllm"])
def test_libraries_count(library, models, params, monkeypatch):
    before = identity(models / "vllm", params)
    version = backend.version
    monkeypatch.setattr(backend, "version", lambda name: "9.9" if name.startswith(library) else version(name))
    assert identity(models / "vllm", params) != before


@pytest.mark.parametrize(
    ("setting", "counts"),
    [
        ({"dtype": "bfloat16"}, True),
        ({"quantization": "fp8"}, True),
        ({"head_dtype": "float32"}, True),
        ({"tensor_parallel_size": 2}, True),
        ({"block_size": 64}, True),
        ({"enforce_eager": False}, True),
        ({"max_num_seqs": 4}, False),
        ({"max_num_batched_tokens": 4096}, False),
        ({"max_model_len": 1024}, False),
        ({"kv_cache_gib": 2}, False),
        ({"min_gpu_gib": 3.0}, False),
    ],
    ids=str,
)
def test_settings_count_that_change_sums(setting, counts, models, params):
    first = {"dtype": "float32"}
    assert (
        identity(models / "vllm", params, **first | setting) != identity(models / "vllm", params, **first)
    ) == counts


def test_on_a_card_prompts_are_computed_in_parts_whose_size_counts(models, params, monkeypatch):
    monkeypatch.setattr(vllm_backend, "_device", lambda settings: settings.device)
    card = {"dtype": "bfloat16", "device": "cuda"}
    names = {identity(models / "vllm", params, **card, max_num_batched_tokens=size) for size in (4096, 8192)}
    assert len(names) == 2
    assert not names & {identity(models / "vllm", params, dtype="bfloat16")}


def test_the_longest_prompt_counts_where_positions_depend_on_it(models, params, tmp_path):
    folder = shutil.copytree(models / "vllm", tmp_path / "vllm")
    edit(folder, "config.json", rope_parameters={"rope_type": "longrope", "rope_theta": 1e4})
    (folder / MANIFEST).unlink()
    assert identity(folder, params, max_model_len=1024) != identity(folder, params, max_model_len=2048)


def test_auto_is_what_it_comes_to_on_this_processor(models, params, monkeypatch):
    names = set()
    for dtype in ("float32", "bfloat16"):
        monkeypatch.setattr(vllm_backend, "engine_dtype", lambda wanted, dtype=dtype: dtype)
        names.add(identity(models / "vllm", params, dtype="auto"))
    assert len(names) == 2
