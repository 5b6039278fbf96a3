"""Whatever conf/ composes is accepted by the libraries that get it: vLLM's and transformers' own checks, on a CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import training_args

from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware.sizing import NETWORKS
from stages.llm.vllm_backend import engine_arguments
from stages.running.errors import ConfigError
from stages.training.fine_tuning import training_arguments
from stages.weights.hub import is_commit
from tests.conftest import ROOT

PROFILES = [path.stem for path in sorted((ROOT / "conf/profile").glob("*.yaml"))]
GPU_PROFILES = [name for name in PROFILES if name.startswith("gpu")]
CARDS = [path.stem for path in sorted((ROOT / "conf/vllm").glob("*.yaml"))]


def composed(tmp_path: Path, *overrides: str) -> Params:
    return compose(tmp_path / "params.yaml", list(overrides), ROOT / "conf")


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a small Qwen3: all that vLLM checks its settings against."""
    from transformers import Qwen3Config

    folder = tmp_path_factory.mktemp("qwen3")
    config = Qwen3Config(
        hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        head_dim=32, vocab_size=100, max_position_embeddings=40960, dtype="bfloat16",
        architectures=["Qwen3ForCausalLM"],
    )  # fmt: skip
    config.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("profile", GPU_PROFILES)
def test_a_gpu_profile_is_the_real_run(profile: str, tmp_path: Path) -> None:
    params = composed(tmp_path, f"profile={profile}")
    assert params.models["teacher"] == params.models["generator"]
    assert all(is_commit(model.revision) for model in params.models.values())
    assert params.models["student"].repo == "FacebookAI/xlm-roberta-large"
    assert params.models["embedder"].repo == "sergeyzh/BERTA"
    assert (params.prompt.name, params.prompt.chat, params.prompt.thinking) == ("strict", True, False)
    assert (params.train.epochs, params.train.frozen_embeddings, params.train.layers) == (5, False, None)
    # One that runs on a T4 has to do without bfloat16 everywhere.
    turing = params.vllm.min_compute_capability < 8
    assert (params.vllm.dtype == "float16") == (params.train.precision == "fp16") == turing


def test_the_profile_of_a_cpu_with_the_hub_is_of_free_licences(tmp_path: Path) -> None:
    params = composed(tmp_path, "profile=cpu_hub")
    assert {model.license for model in params.models.values()} == {"Apache-2.0", "MIT"}
    assert all(is_commit(model.revision) for model in params.models.values())
    # One engine serves both, and each text goes through the encoder once.
    assert params.models["teacher"] == params.models["generator"]
    assert params.models["student"] == params.models["embedder"]
    assert (params.train.prompt, params.train.pooling, params.train.max_tokens) == (
        params.embed.prefix, params.embed.pooling, params.embed.max_tokens,
    )  # fmt: skip
    assert (params.prompt.chat, params.prompt.thinking, params.vllm.device) == (True, False, "cpu")


@pytest.mark.parametrize("name", ["sbert-large-nlu-ru", "berta", "frida", "e5-large-instruct"])
def test_every_embedder_of_the_hub_can_be_chosen(name: str, tmp_path: Path) -> None:
    params = composed(tmp_path, "profile=gpu", f"models/embedder={name}", f"embed={name}")
    assert params.models["embedder"].name == name
    assert params.models["embedder"].license == "MIT"


@pytest.mark.parametrize("name", ["berta", "frida", "e5-large-instruct"])
def test_a_student_reads_what_the_same_embedder_reads(name: str, tmp_path: Path) -> None:
    params = composed(tmp_path, "profile=gpu", f"models/student={name}", f"train={name}", f"embed={name}")
    assert (params.train.prompt, params.train.pooling) == (params.embed.prefix, params.embed.pooling)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_decoder_is_the_student_of_every_profile(profile: str, tmp_path: Path) -> None:
    plain, params = (
        composed(tmp_path, f"profile={profile}"),
        composed(tmp_path, f"profile={profile}", "student=decoder"),
    )
    of_a_card = profile in GPU_PROFILES
    assert params.models["student"].name == ("qwen3-0.6b" if of_a_card else "qwen2.5-coder-0.5b")
    assert params.models["student"].license == "Apache-2.0"
    assert is_commit(params.models["student"].revision)
    assert params.models["student"].name in NETWORKS
    assert (params.train.pooling, params.train.linear_probe) == ("last", None)
    assert params.train.lora is not None
    # What the card computes in stays what the profile says.
    assert params.train.precision == (plain.train.precision if of_a_card else "fp32")
    others = {role: model for role, model in params.models.items() if role != "student"}
    assert others == {role: model for role, model in plain.models.items() if role != "student"}


@pytest.mark.parametrize("card", CARDS)
def test_vllm_takes_the_settings(card: str, tmp_path: Path, teacher_folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    from vllm import EngineArgs

    engine = composed(tmp_path, f"vllm={card}").vllm
    config = EngineArgs(**engine_arguments(teacher_folder, engine.dtype, engine)).create_engine_config()
    assert config.cache_config.enable_prefix_caching
    assert config.model_config.max_model_len == engine.max_model_len
    assert config.scheduler_config.max_num_seqs == engine.max_num_seqs
    # On a card logits are exact, though the layers have half precision; on a CPU stored answers stay what they are.
    exact = config.model_config.dtype if card == "cpu" else torch.float32
    assert config.model_config.head_dtype == exact
    assert config.parallel_config.world_size == engine.tensor_parallel_size
    for wrong in ({"quantization": "awqq"}, {"max_model_len": 10**6}):
        with pytest.raises(ValueError, match=r"quantization|max_model_len"):
            EngineArgs(**engine_arguments(teacher_folder, engine.dtype, engine) | wrong).create_engine_config()


@pytest.mark.parametrize("profile", PROFILES)
def test_transformers_takes_the_settings(profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_args, "is_torch_bf16_gpu_available", lambda: True)
    train = composed(tmp_path, f"profile={profile}").train
    arguments = training_arguments(train, 20, tmp_path, steps=10)
    assert (arguments.fp16, arguments.bf16) == (train.precision == "fp16", train.precision == "bf16")
    # Only a card at hand can tell whether it has to be.
    assert train.gradient_checkpointing == "auto"
    assert not arguments.gradient_checkpointing


@pytest.mark.parametrize(
    ("key", "value"),
    [("device", "tpu"), ("dtype", "half"), ("gpu_memory_utilization", 1.5), ("max_num_seqs", 5000)],
)
def test_impossible_engine_settings_are_refused_by_name(key: str, value: object, params: Params) -> None:
    with pytest.raises(ConfigError, match=f"vllm.{key}|vllm.max_num_batched_tokens"):
        replace(params.vllm, **{key: value})
