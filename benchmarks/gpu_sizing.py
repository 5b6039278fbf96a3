"""The tables of docs/gpu.md: `python -m benchmarks.gpu_sizing` prints them, estimates and published figures alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware.sizing import (
    GIB,
    NETWORKS,
    PROCESSORS,
    Network,
    Processor,
    Student,
    Teacher,
    download_gb,
    student,
    teacher,
)
from stages.llm.config import Vllm

SETUPS = {
    "T4": ("T4", ["profile=gpu_16gb"]),
    "L4": ("L4", ["profile=gpu_24gb"]),
    "RTX 4090": ("RTX 4090", ["profile=gpu_24gb"]),
    "A100 40 GB": ("A100-SXM4-40GB", ["profile=gpu"]),
    "A100 80 GB": ("A100-SXM4-80GB", ["profile=gpu", "vllm=gpu_80gb"]),
    "H100": ("H100", ["profile=gpu", "vllm=gpu_80gb"]),
    "H100, FP8": ("H100", ["profile=gpu_24gb", "vllm=gpu_80gb"]),
    "2 x A100 40 GB": ("A100-SXM4-40GB", ["profile=gpu_70b"]),
}  # fmt: skip
V100 = Processor("V100", 32, 125, 900, share=0.3)
LLAMA_8B = Network(7.5e9, 8.03e9, 32, 4096, 8)


def main() -> None:
    with TemporaryDirectory() as folder:
        composed = {
            name: (PROCESSORS[card], compose(Path(folder) / "params.yaml", overrides), " ".join(overrides))
            for name, (card, overrides) in SETUPS.items()
        }
    print("\n".join([*memory(composed), "", *speed(composed), "", *checks()]))


def memory(composed: dict[str, tuple[Processor, Params, str]]) -> list[str]:
    lines = [
        "| card | settings | weights, GiB | of memory | cache, tokens | reviews at a time | download, GB |",
        "|" + "---|" * 7,
    ]
    for name, (card, params, overrides) in composed.items():
        asked, engine = teacher(params, card), params.vllm
        weights = asked.weights_gb * 1e9 / GIB / engine.tensor_parallel_size
        lines.append(
            f"| {name} | `{overrides}` | {weights:.1f} | {engine.gpu_memory_utilization:.0%} of {card.gib:.1f} GiB "
            f"| {asked.cache_tokens:,} | {asked.sequences(64)} | {download_gb(params):.1f} |"
        )
    return lines


def speed(composed: dict[str, tuple[Processor, Params, str]]) -> list[str]:
    lines = [
        "| card | labelled, reviews/s | with every explanation | written, candidates/s "
        "| training, min an epoch of 10,000 rows | one review, ms | in batches, reviews/s |",
        "|" + "---|" * 7,
    ]
    for name, (card, params, _) in composed.items():
        asked, learner, train = teacher(params, card), student(params, card), params.train
        epoch = learner.epoch(10_000, train.batch_size, recompute=train.gradient_checkpointing) / 60
        explained = asked.label() + asked.explain()
        lines.append(
            f"| {name} | {1 / asked.label():.0f} | {1 / explained:.0f} | {1 / asked.write():.0f} "
            f"| {epoch:.1f} | {1000 * learner.single():.0f} | {1 / learner.batched(64):.0f} |"
        )
    return lines


def checks() -> list[str]:
    """Published figures beside what the same formulas give for the same task."""
    a100, h100 = "A100-SXM4-80GB", "H100"
    student_on_t4 = Student(NETWORKS["xlm-roberta-large"], PROCESSORS["T4"])
    rows = [
        ("Qwen3-14B, A100 80 GB, 2,000 tokens in and 100 out, tokens/s [1]", 5967, served(a100, 2000, 100)),
        ("the same, 4,000 in and 200 out [1]", 5153, served(a100, 4000, 200)),
        ("the same, 128 in and 4 out [1]", 4917, served(a100, 128, 4)),
        ("Qwen3-14B, H100, 2,000 in and 100 out, tokens/s [1]", 10597, served(h100, 2000, 100)),
        ("the same, 4,000 in and 200 out [1]", 9218, served(h100, 4000, 200)),
        ("Llama-3.1-8B, A100 40 GB, one request, tokens/s written [2]", 75, 1 / llama().step(1, 1088)),
        ("Qwen3-14B-AWQ, A100 80 GB, a prompt of 16,000 tokens, s [3]", 3.35, awq().reading(16_000, 8_000)),
        ("BERT-large, T4, batch of 128 x 128 tokens, ms [4]", 482.8, bert("T4")),
        ("BERT-large, A100 40 GB, batch of 128 x 128 tokens, ms [4]", 51.6, bert("A100-SXM4-40GB")),
        ("BERT-large trained, V100, batch of 14 x 384 tokens, texts/s [5]", 28.3, trained()),
        ("xlm-roberta-large, T4, one review, ms [6]", 14, 1000 * student_on_t4.single()),
    ]
    lines = ["| published figure | published | these formulas | ratio |", "|---|---|---|---|"]
    return [*lines, *(f"| {what} | {known:g} | {ours:.4g} | {ours / known:.2f} |" for what, known, ours in rows)]


def engine(**settings: object) -> Vllm:
    with TemporaryDirectory() as folder:
        return replace(compose(Path(folder) / "params.yaml", ["vllm=gpu_80gb"]).vllm, **settings)


def served(card: str, read: int, written: int) -> float:
    """Tokens a second, in and out together, with as many requests at a time as the cache holds (256 at most)."""
    model = Teacher(NETWORKS["qwen3-14b"], 29.5, PROCESSORS[card], engine(max_num_seqs=256))
    at_a_time = min(256, model.cache_tokens // (read + written))
    seconds = model.reading(read, read / 2) + written * model.step(at_a_time, read + written / 2) / at_a_time
    return (read + written) / seconds


def llama() -> Teacher:
    return Teacher(LLAMA_8B, 16.1, PROCESSORS["A100-SXM4-40GB"], engine())


def awq() -> Teacher:
    return Teacher(NETWORKS["qwen3-14b-awq"], 10.0, PROCESSORS["A100-SXM4-80GB"], engine())


def bert(card: str) -> float:
    return 1000 * NETWORKS["xlm-roberta-large"].operations(128 * 128, 128) / PROCESSORS[card].rate


def trained() -> float:
    large = replace(NETWORKS["xlm-roberta-large"], weights=0.335e9)
    per_text = 3 * large.operations(384, 384) / (V100.rate * 0.5)
    return 14 / (14 * per_text + 28 * large.weights / V100.bytes_per_second)


if __name__ == "__main__":
    main()
