"""The arithmetic by hand, and that it stays near what others published."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.gpu_sizing import checks
from stages.common import work
from stages.composition.params import Params
from stages.hardware import sizing
from stages.hardware.sizing import (
    CPU_FIXED,
    GIB,
    NETWORKS,
    PROCESSORS,
    REVIEW,
    UNCACHED,
    Network,
    Processor,
    Student,
    Teacher,
    cpu_run,
    disk_gb,
    download_gb,
    processor,
)

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


def test_eight_bits_gain_only_where_the_card_computes_in_them(asked: Teacher) -> None:
    eight = replace(asked, network=replace(NETWORK, arithmetic="fp8"))
    assert eight.label() == asked.label()
    assert replace(eight, card=replace(CARD, has_fp8=True)).label() == pytest.approx(asked.label() / 1.4)


def test_checkpointing_costs_a_third_more_where_arithmetic_decides() -> None:
    student = Student(NETWORKS["xlm-roberta-large"], replace(PROCESSORS["T4"], bandwidth=1e9))
    plain, checkpointed = (student.epoch(3200, 32, recompute=recompute) for recompute in (False, True))
    assert checkpointed == pytest.approx(plain * 4 / 3)


def test_cards_are_known_by_the_drivers_name() -> None:
    assert processor("Tesla T4") is PROCESSORS["T4"]
    assert processor("NVIDIA L4") is PROCESSORS["L4"]
    assert processor("NVIDIA H100 80GB HBM3") is PROCESSORS["H100"]
    assert processor("NVIDIA A100-SXM4-40GB") is PROCESSORS["A100-SXM4-40GB"]
    assert processor("GeForce GTX 1080") is None


def test_a_model_in_two_roles_is_fetched_once(params: Params) -> None:
    assert params.models["student"] == params.models["embedder"]
    assert download_gb(params) == pytest.approx(0.49 + 1.12 + 1.15)
    assert disk_gb(params) == pytest.approx(1.0 + 3.1 + 0.65 + 2 * 1.15)


def test_a_run_on_a_processor_is_told_by_what_it_was_measured_at(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(reviews: int, operations: float, bandwidth: float) -> float:
        for module in (work, sizing):
            monkeypatch.setattr(module, "matmul_rate", lambda _: operations)
            monkeypatch.setattr(module, "memory_rate", lambda: bandwidth)
        seconds = cpu_run(params, reviews)
        assert seconds is not None
        return seconds

    assert run(1000, 1e30, 1e30) == pytest.approx(CPU_FIXED)
    # A thousand reviews more: each read by the teacher, and once by the encoder; nothing else grows.
    teacher, student = NETWORKS[params.models["teacher"].name], NETWORKS[params.models["student"].name]
    head = teacher.weights - teacher.body
    operations = 2 * (teacher.body * UNCACHED + head) + student.operations(REVIEW, REVIEW)
    added = run(2000, 1e12, 1e30) - run(1000, 1e12, 1e30)
    written = params.prompt.reasoning_tokens / 2 * 2 * teacher.weights
    assert added == pytest.approx(1000 * (operations + written) / (1e12 * work.MATMUL_SHARE))
    assert (
        cpu_run(replace(params, models={**params.models, "teacher": replace(params.models["teacher"], name="x")}), 1)
        is None
    )


def test_published_figures_are_met_within_a_half() -> None:
    ratios = [float(line.split("|")[-2]) for line in checks()[2:]]
    assert len(ratios) > 8
    assert all(0.65 < ratio < 1.5 for ratio in ratios)
