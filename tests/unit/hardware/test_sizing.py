"""The arithmetic by hand, and that it stays near what others published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.gpu_sizing import best, checks
from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware import sizing
from stages.hardware.sizing import (
    CANDIDATES,
    CPU_FIXED,
    GIB,
    NETWORKS,
    PROCESSORS,
    STUDENT_REVIEW,
    UNCACHED,
    WORD,
    WRITTEN_TEXT,
    Network,
    Processor,
    Student,
    Teacher,
    beside_engine,
    cpu_run,
    teacher,
)
from stages.running import work
from tests.conftest import ROOT

CARD = Processor("card", gib=20.0, tflops=100, bandwidth=1000, share=0.5)
NETWORK = Network(body=10e9, weights=11e9, layers=10, width=1000, kv_heads=8, head_size=100)


@pytest.fixture
def asked(params: Params) -> Teacher:
    engine = replace(params.vllm, device="cuda", gpu_memory_utilization=0.9, max_num_seqs=64, max_num_batched_tokens=64)
    return Teacher(NETWORK, weights_gb=10.0, card=CARD, engine=engine)


def test_a_prompt_costs_two_operations_a_weight_and_its_attention(asked: Teacher) -> None:
    # 100 tokens x (2 x 10e9 + 4 x 10 layers x 1,000 x 50 tokens) at 50 TFLOP/s.
    assert asked.reading(100, 50) == pytest.approx(100 * (20e9 + 2e6) / 50e12)


def test_a_written_token_reads_all_weights_and_the_cache(asked: Teacher) -> None:
    assert NETWORK.kv_bytes == 2 * 2 * 10 * 8 * 100
    assert asked.step(4, 1000) == pytest.approx((10e9 + 4 * 1000 * 32_000) / 770e9)


def test_the_cache_gets_what_the_weights_leave(asked: Teacher) -> None:
    assert asked.cache_tokens == int((20 * 0.9 - 1.5 - 10e9 / GIB) * GIB / 32_000)
    assert asked.sequences(UNCACHED) == 64
    assert replace(asked, weights_gb=17.7).sequences(UNCACHED) == 1


def test_two_cards_hold_and_read_nearly_twice_as_much(asked: Teacher) -> None:
    both = replace(asked, engine=replace(asked.engine, tensor_parallel_size=2))
    assert both.cache_tokens > 2 * asked.cache_tokens
    assert asked.step(1, 0) / both.step(1, 0) == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("arithmetic", "capability", "gain"),
    [
        ("half", 9.0, 1.0),
        ("fp8", 8.6, 1.0),
        ("fp8", 8.9, 1.25),
        # Weights with a scale a block of 128 are unpacked on an L4, and multiplied as they are on an H100 alone.
        ("fp8_blocks", 8.9, 1.0),
        ("fp8_blocks", 9.0, 1.25),
        ("awq", 9.0, 0.8),
    ],
)
def test_eight_bits_gain_only_where_the_card_computes_in_them(
    arithmetic: str, capability: float, gain: float, asked: Teacher
) -> None:
    network, card = replace(NETWORK, arithmetic=arithmetic), replace(CARD, capability=capability)
    assert replace(asked, network=network, card=card).label() == pytest.approx(asked.label() / gain)


def test_weights_scaled_at_load_are_as_small_as_the_publishers(tmp_path: Path) -> None:
    def on_an_l4(*overrides: str) -> Teacher:
        found = teacher(compose(tmp_path / "params.yaml", overrides, ROOT / "conf"), PROCESSORS["NVIDIA L4"])
        assert found is not None
        return found

    at_load, published = on_an_l4("profile=gpu", "vllm=gpu_24gb_fp8"), on_an_l4("profile=gpu_24gb")
    assert at_load.weights_gb == pytest.approx(published.weights_gb, rel=0.02)
    assert at_load.label() == pytest.approx(published.label() / 1.25)


def test_checkpointing_costs_a_third_more_where_arithmetic_decides() -> None:
    student = Student(NETWORKS["xlm-roberta-large"], replace(PROCESSORS["Tesla T4"], bandwidth=1e9))
    plain, checkpointed = (student.epoch(3200, 32, recompute=recompute) for recompute in (False, True))
    assert checkpointed == pytest.approx(plain * 4 / 3)


def test_low_rank_updates_spare_a_pass_and_the_optimizers_way_through_memory() -> None:
    card = PROCESSORS["NVIDIA L4"]
    whole, updates = (
        Student(NETWORKS["qwen3-0.6b"], card, lora).epoch(3200, 32, recompute=False) for lora in (False, True)
    )
    moved = 100 * 28 * NETWORKS["qwen3-0.6b"].weights / card.bytes_per_second
    assert updates == pytest.approx((whole - moved) * 2 / 3)


@pytest.mark.parametrize(
    "other", ["NVIDIA L40S", "NVIDIA T400 4GB", "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "NVIDIA H100 80GB HBM3e", "T4"]
)
def test_a_card_whose_name_is_only_like_a_known_one_has_no_estimate(other: str) -> None:
    assert other not in PROCESSORS


def test_the_forms_of_a_chip_differ() -> None:
    assert PROCESSORS["NVIDIA H100 PCIe"].rate < PROCESSORS["NVIDIA H100 80GB HBM3"].rate
    assert PROCESSORS["NVIDIA A100 80GB PCIe"].bandwidth < PROCESSORS["NVIDIA A100-SXM4-80GB"].bandwidth


@pytest.mark.parametrize("profile", ["gpu_16gb", "gpu_24gb", "gpu", "gpu_70b"])
def test_the_embedder_has_room_beside_the_engine_of_every_profile(profile: str, tmp_path: Path) -> None:
    params = compose(tmp_path / "params.yaml", [f"profile={profile}"], ROOT / "conf")
    left, needed = beside_engine(params, params.vllm.min_gpu_gib)
    assert needed == pytest.approx(0.52e9 / GIB + 0.6)
    assert left > needed
    crowded = replace(params, vllm=replace(params.vllm, gpu_memory_utilization=0.98))
    assert beside_engine(crowded, params.vllm.min_gpu_gib)[0] < needed


@pytest.fixture
def run(params: Params, monkeypatch: pytest.MonkeyPatch) -> Callable[..., float]:
    def seconds(
        reviews: int, written: int, operations: float = 1e12, params: Params = params, asked: int | None = None
    ) -> float:
        for module in (work, sizing):
            monkeypatch.setattr(module, "matmul_rate", lambda _: operations)
            monkeypatch.setattr(module, "memory_rate", lambda: 1e30)
        found = cpu_run(params, reviews, reviews if asked is None else asked, written)
        assert found is not None
        return found

    return seconds


def test_a_run_on_a_processor_is_told_by_what_it_was_measured_at(params: Params, run: Callable[..., float]) -> None:
    assert run(1000, 100, 1e30) == pytest.approx(CPU_FIXED)
    # A thousand reviews more: each read by the teacher, and once by the encoder; nothing else grows.
    teacher, embedder = NETWORKS[params.models["teacher"].name], NETWORKS[params.models["embedder"].name]
    encode = embedder.operations(STUDENT_REVIEW, STUDENT_REVIEW)
    head = teacher.weights - teacher.body
    operations = 2 * (teacher.body * UNCACHED + head) + encode
    line = params.prompt.reasoning_tokens / 2 * 2 * teacher.weights
    rate = 1e12 * work.MATMUL_SHARE
    assert run(2000, 100) - run(1000, 100) == pytest.approx(1000 * (operations + line) / rate)
    # What is written nobody labels, and of what is checked the teacher is asked a part.
    assert run(2000, 100, asked=1000) - run(1000, 100) == pytest.approx(1000 * encode / rate)
    assert run(1000, 1100) - run(1000, 100) == pytest.approx(1000 * WRITTEN_TEXT * encode / rate)
    unknown = replace(params, models={**params.models, "teacher": replace(params.models["teacher"], name="x")})
    assert cpu_run(unknown, 1, 1, 1) is None


def test_a_run_whose_students_learn_from_the_embedder_takes_its_time(run: Callable[..., float], tmp_path: Path) -> None:
    plain, fast, fastest = (
        compose(tmp_path / "params.yaml", [f"student={name}"], ROOT / "conf")
        for name in ("accurate", "fast", "fastest")
    )
    more = run(1000, 100, params=fast) - run(1000, 100, params=replace(fast, distil=plain.distil))
    encoder, words = NETWORKS[fast.models["embedder"].name], WORD * fast.distil.words
    read = words * encoder.operations(STUDENT_REVIEW, STUDENT_REVIEW) / (1e12 * work.MATMUL_SHARE)
    texts = 1000 + WRITTEN_TEXT * 100 + CANDIDATES * fast.plan.wanted * len(fast.labels.names)
    learner = Student(NETWORKS["e5-small"], sizing.cpu("float32"))
    epoch = learner.epoch(texts + words, fast.distil.batch_size, recompute=False)
    assert more == pytest.approx(read + fast.distil.epochs * epoch)
    assert run(1000, 100, params=fastest) > run(1000, 100, params=plain)


def test_published_figures_are_met_within_a_half() -> None:
    ratios = [float(line.split("|")[-2]) for line in checks()[2:]]
    assert len(ratios) > 8
    assert all(0.65 < ratio < 1.5 for ratio in ratios)


def test_the_best_published_figures_are_above_the_estimates_and_not_twice_as_high() -> None:
    ratios = [float(line.split("|")[-2]) for line in best()[2:]]
    assert len(ratios) == 4
    assert all(0.5 < ratio < 1 for ratio in ratios)
