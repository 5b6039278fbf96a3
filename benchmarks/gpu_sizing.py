"""The tables of docs/gpu.md: `python -m benchmarks.gpu_sizing` prints them, estimates and published figures alike."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stages.composition.compose import compose
from stages.composition.params import Params
from stages.hardware.disk import download_gb
from stages.hardware.sizing import (
    GIB,
    NETWORKS,
    PROCESSORS,
    PROMPT,
    UNCACHED,
    Network,
    Processor,
    Student,
    Teacher,
    recomputes,
    student,
    teacher,
)
from stages.llm.config import Vllm

T4, L4, RTX_4090 = "Tesla T4", "NVIDIA L4", "NVIDIA GeForce RTX 4090"
A100_40, A100_80, H100 = "NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3"
FP8 = "vllm.quantization=fp8_per_channel"
SETUPS = {
    "T4": (T4, ["profile=gpu_16gb"]),
    "L4": (L4, ["profile=gpu_24gb"]),
    "L4, FP8": (L4, ["profile=gpu", "vllm=gpu_24gb_fp8"]),
    "RTX 4090": (RTX_4090, ["profile=gpu_24gb"]),
    "RTX 4090, FP8": (RTX_4090, ["profile=gpu", "vllm=gpu_24gb_fp8"]),
    "A100 40 GB": (A100_40, ["profile=gpu"]),
    "A100 80 GB": (A100_80, ["profile=gpu", "vllm=gpu_80gb"]),
    "H100": (H100, ["profile=gpu", "vllm=gpu_80gb"]),
    "H100, FP8": (H100, ["profile=gpu", "vllm=gpu_80gb", FP8]),
    "2 x A100 40 GB": (A100_40, ["profile=gpu_70b"]),
}
V100 = Processor("V100", 32, 125, 900, share=0.3)
LLAMA_8B = Network(7.5e9, 8.03e9, 32, 4096, 8)


def main() -> None:
    with TemporaryDirectory() as folder:
        composed = {
            name: (PROCESSORS[card], compose(Path(folder) / "params.yaml", overrides), " ".join(overrides))
            for name, (card, overrides) in SETUPS.items()
        }
    print(
        "\n".join(
            [
                *memory(composed),
                "",
                *speed(composed),
                "",
                *checks(),
                "",
                *best(),
                "",
                *measured(),
                "",
                *against_measured(),
            ]
        )
    )


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
            f"| {asked.cache_tokens:,} | {asked.sequences(UNCACHED)} | {download_gb(params):.1f} |"
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
        epoch = learner.epoch(10_000, train.batch_size, recompute=recomputes(train, card)) / 60
        explained = asked.label() + asked.explain()
        lines.append(
            f"| {name} | {1 / asked.label():.0f} | {1 / explained:.0f} | {1 / asked.write():.0f} "
            f"| {epoch:.1f} | {1000 * learner.single():.0f} | {1 / learner.batched(64):.0f} |"
        )
    return lines


def checks() -> list[str]:
    """Published figures beside what the same formulas give for the same task."""
    student_on_t4 = Student(NETWORKS["xlm-roberta-large"], PROCESSORS[T4])
    rows = [
        ("Qwen3-14B, A100 80 GB, 2,000 tokens in and 100 out, tokens/s [1]", 5967, served(A100_80, 2000, 100)),
        ("the same, 4,000 in and 200 out [1]", 5153, served(A100_80, 4000, 200)),
        ("the same, 128 in and 4 out [1]", 4917, served(A100_80, 128, 4)),
        ("Qwen3-14B, H100, 2,000 in and 100 out, tokens/s [1]", 10597, served(H100, 2000, 100)),
        ("the same, 4,000 in and 200 out [1]", 9218, served(H100, 4000, 200)),
        ("Llama-3.1-8B, A100 40 GB, one request, tokens/s written [2]", 75, 1 / llama().step(1, 1088)),
        ("Qwen3-14B-AWQ, A100 80 GB, a prompt of 16,000 tokens, s [3]", 3.35, awq().reading(16_000, 8_000)),
        ("BERT-large, T4, batch of 128 x 128 tokens, ms [4]", 482.8, bert(T4)),
        ("BERT-large, A100 40 GB, batch of 128 x 128 tokens, ms [4]", 51.6, bert(A100_40)),
        ("BERT-large trained, V100, batch of 14 x 384 tokens, texts/s [5]", 28.3, trained()),
        ("xlm-roberta-large, T4, one review, ms [6]", 14, 1000 * student_on_t4.single()),
    ]
    return compared(rows)


def best() -> list[str]:
    """The most that an engine which was looked for got out of the same cards, beside what the formulas expect."""
    rows = [
        ("A100 80 GB, 128 tokens in and 4 out, TensorRT-LLM", 8762, served(A100_80, 128, 4)),
        ("the same, 2,000 in and 100 out", 7474, served(A100_80, 2000, 100)),
        ("H100, 128 in and 4 out, SGLang, FP8", 16885, served(H100, 128, 4, fp8=True)),
        ("the same, 2,000 in and 100 out", 14764, served(H100, 2000, 100, fp8=True)),
    ]
    return compared(rows)


def measured() -> list[str]:
    """What `benchmarks.teacher_card` and `benchmarks.train_card` gave on an H100."""
    lines = [
        "| settings | weights, GiB | cache, tokens | start, s | labelled/s | explained/s | candidates/s |",
        "|" + "---|" * 7,
    ]
    for run in teacher_card()["runs"]:
        found = {line["what"]: line for line in run["lines"]}
        speeds = " | ".join(f"{found[what]['per_second']:.0f}" for what in ("label", "explain", "write"))
        lines.append(
            f"| {run['settings']} | {run['weights_gib']:.1f} | {run['cache_tokens']:,} "
            f"| {found['start']['seconds']:.0f} | {speeds} |"
        )
    card = train_card()
    lines += ["", "| training | ms a step, recomputed | reviews/s, recomputed | GiB, recomputed |", "|---|---|---|---|"]
    steps = {(row["lengths"], row["precision"], row["gradient_checkpointing"]): row for row in card["train"]}
    for (lengths, precision, recomputed), plain in steps.items():
        if not recomputed:
            again = steps[lengths, precision, True]
            figures = (f"{plain[key]:.0f}, {again[key]:.0f}" for key in ("ms", "texts_per_second"))
            memory = f"{plain['taken_gib']:.1f}, {again['taken_gib']:.1f}"
            lines.append(f"| {LENGTHS[lengths]}, {precision} | {' | '.join(figures)} | {memory} |")
    lines += ["", "| answers | one review, ms | 95th percentile | in batches of 64, reviews/s |", "|---|---|---|---|"]
    for row in card["answer"]:
        single = f"{row['single_ms']:.1f} | {row['single_p95_ms']:.1f}"
        lines.append(f"| {row['precision']} | {single} | {row['batched_per_second']:.0f} |")
    return lines


def against_measured() -> list[str]:
    """The same runs beside the formulas."""
    label, write = (line for line in teacher_card()["runs"][0]["lines"] if line["what"] in ("label", "write"))
    asked = Teacher(NETWORKS["qwen3-14b"], 29.5, PROCESSORS[H100], engine())
    read, written = write["fresh tokens"], write["written tokens"]
    at_a_time = engine().max_num_seqs
    writing = asked.reading(read, 200) + written * asked.step(at_a_time, 200) / at_a_time
    learner, card = Student(NETWORKS["xlm-roberta-large"], PROCESSORS[H100]), train_card()
    plain, recomputed = (row["texts_per_second"] for row in card["train"][:2])
    epochs = [10_000 / learner.epoch(10_000, 32, recompute=again) for again in (False, True)]
    answers = card["answer"][0]
    rows = [
        ("Qwen3-14B, labels, reviews/s", label["per_second"], 1 / asked.reading(label["fresh tokens"], PROMPT)),
        ("the same, candidates/s", write["per_second"], 1 / writing),
        ("xlm-roberta-large, training, reviews/s", plain, epochs[0]),
        ("the same, recomputed", recomputed, epochs[1]),
        ("the same, one review, ms", answers["single_ms"], 1000 * learner.single()),
        ("the same, in batches of 64, reviews/s", answers["batched_per_second"], 1 / learner.batched(64)),
    ]
    rows = [(what, round(known, 1 if known < 10 else 0), ours) for what, known, ours in rows]
    return compared(rows, "measured on an H100", "measured")


LENGTHS = {"real": "58 tokens a review", "longest": "256 tokens"}


@cache
def teacher_card() -> dict[str, Any]:
    return json.loads(Path("benchmarks/teacher_card.json").read_text(encoding="utf-8"))


@cache
def train_card() -> dict[str, Any]:
    return json.loads(Path("benchmarks/train_card.json").read_text(encoding="utf-8"))


def compared(
    rows: list[tuple[str, float, float]], figure: str = "published figure", known_as: str = "published"
) -> list[str]:
    lines = [f"| {figure} | {known_as} | these formulas | ratio |", "|---|---|---|---|"]
    return [*lines, *(f"| {what} | {known:.6g} | {ours:.4g} | {ours / known:.2f} |" for what, known, ours in rows)]


@cache
def engine() -> Vllm:
    with TemporaryDirectory() as folder:
        return compose(Path(folder) / "params.yaml", ["vllm=gpu_80gb"]).vllm


def served(card: str, read: int, written: int, *, fp8: bool = False) -> float:
    """Tokens a second, in and out together, with as many requests at a time as the cache holds (256 at most)."""
    name, weights_gb = ("qwen3-14b-fp8", 16.3) if fp8 else ("qwen3-14b", 29.5)
    model = Teacher(NETWORKS[name], weights_gb, PROCESSORS[card], replace(engine(), max_num_seqs=256))
    at_a_time = min(256, model.cache_tokens // (read + written))
    seconds = model.reading(read, read / 2) + written * model.step(at_a_time, read + written / 2) / at_a_time
    return (read + written) / seconds


def llama() -> Teacher:
    return Teacher(LLAMA_8B, 16.1, PROCESSORS[A100_40], engine())


def awq() -> Teacher:
    return Teacher(NETWORKS["qwen3-14b-awq"], 10.0, PROCESSORS[A100_80], engine())


def bert(card: str) -> float:
    return 1000 * NETWORKS["xlm-roberta-large"].operations(128 * 128, 128) / PROCESSORS[card].rate


def trained() -> float:
    large = replace(NETWORKS["xlm-roberta-large"], weights=0.335e9)
    per_text = 3 * large.operations(384, 384) / (V100.rate * 0.5)
    return 14 / (14 * per_text + 28 * large.weights / V100.bytes_per_second)


if __name__ == "__main__":
    main()
