"""How long a run takes and how much fits, computed from a few published numbers.

A matrix product of P weights costs 2P operations a token (Kaplan et al. 2020, section 2.1). Reading a prompt is bound
by arithmetic, writing an answer token by token by memory. Processors reach a share of their peak; the shares come from
published measurements that docs/gpu.md names, and `benchmarks/gpu_sizing.py` compares both: take it for the order of
magnitude. A processor without a card is measured where it stands, and a whole run on it told by
`stages/running/work.py`, as stages tell their own part of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from stages.common.provenances import PROVENANCES
from stages.composition.params import Params
from stages.hardware.machine import GIB
from stages.llm.config import Vllm
from stages.running.peak import engine_dtype, matmul_rate, memory_rate
from stages.running.work import MATMUL_SHARE, Expected, Weights
from stages.training.config import Train

# A review of the sample in tokens, of Qwen's vocabulary of 152,000 and of EmbeddingGemma's of 262,000, to which XLM-R's
# of 250,000 is near.
REVIEW, STUDENT_REVIEW = 58, 47
# What is written for a category, or a single word of it, against such a review: of their tokens.
WRITTEN_TEXT, WORD = 0.85, 0.2
# What the prefix cache cannot hold of a labelling prompt: the review, the turn's end and the start of the answer. The
# whole prompt counts for attention and the cache.
UNCACHED, PROMPT = REVIEW + 13, 600
EXPLANATION, WRITTEN = 40, 60
# A candidate is shown examples that it shares with seven others; what the prefix cache did not have of them on a card
# is in benchmarks/teacher_card.json.
EXAMPLES, FRESH_EXAMPLES = 400, 80
# Gibibytes that activations and CUDA graphs take beside weights and cache.
RESERVED_GIB = 1.5
# Share of the memory bandwidth that decoding reaches, of its own arithmetic that training does, of two cards that
# tensor parallelism leaves.
BANDWIDTH_SHARE, TRAINING_SHARE, PARALLEL_SHARE = 0.77, 0.5, 0.8
# Against half precision: 8-bit arithmetic where the card has it (docs/gpu.md [1], SGLang with either weights), and
# 4-bit weights, unpacked first (with a margin).
FP8_GAIN, AWQ_GAIN = 1.25, 0.8
# Compute capabilities from which on vLLM multiplies in 8 bits: weights with a scale a channel, and a block.
FP8_FROM, FP8_BLOCKS_FROM = 8.9, 9.0
# The setting by which vLLM scales published weights down to 8 bits, channel by channel, as it loads them.
AT_LOAD = "fp8_per_channel"
# Gibibytes that the embedder takes on a card beside its weights: kernels and a batch.
EMBEDDER_GIB = 0.6
# Of a run on a processor: candidates for each row that a category shall have, the fresh tokens of their prompts and
# theirs; seconds for converting weights, starting engines, importing libraries and drawing, as the sample's run had.
CANDIDATES, CPU_EXAMPLES, CPU_WRITTEN, CPU_FIXED = 1, 100, 25, 400
# Milliseconds in which PyTorch launches the kernels of one encoder layer, to answer and in each pass of a training; an
# H100 waited for no less (benchmarks/train_card.json).
LAUNCH_MS, TRAINING_LAUNCH_MS = 0.4, 1.0
# Gibibytes below which gradient checkpointing is needed: xlm-roberta-large took 16.2 without it (the same file).
WHOLE_STEP_GIB = 18


@dataclass(frozen=True)
class Processor:
    """Peaks without sparsity: half-precision TFLOP/s, memory in GB/s; `share` of the peak that products reach.

    `capability` is CUDA's compute capability, 0 for a processor without a card.
    """

    name: str
    gib: float
    tflops: float
    bandwidth: float
    share: float
    capability: float = 0.0

    @property
    def rate(self) -> float:
        """Operations a second of large half-precision products."""
        return self.tflops * self.share * 1e12

    @property
    def bytes_per_second(self) -> float:
        """Bytes a second that decoding reads."""
        return self.bandwidth * BANDWIDTH_SHARE * 1e9


@dataclass(frozen=True)
class Network:
    """`body`: weights that every token meets (embeddings apart); `weights`: all; attention of `layers` x `kv_heads`.

    `arithmetic`: half, or that of compressed weights: fp8 (a scale a channel), fp8_blocks, awq (4 bits).
    """

    body: float
    weights: float
    layers: int
    width: int
    kv_heads: int = 0
    head_size: int = 128
    arithmetic: str = "half"

    @property
    def kv_bytes(self) -> int:
        """Bytes of key-value cache a token, in half precision."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_size

    @property
    def to_read(self) -> Weights:
        """What a language model's tokens go through."""
        return Weights(round(self.body), head=round(self.weights - self.body))

    def operations(self, tokens: float, context: float) -> float:
        """Operations to read `tokens`, each attending to `context` tokens on average."""
        return tokens * (2 * self.body + 4 * self.layers * self.width * context)


# Dense peaks of NVIDIA's data sheets, by the names that the driver gives. A card that is not here has no estimate: the
# share is known of a chip alone that somebody measured, and taken for all of its forms.
PROCESSORS = {
    "Tesla T4": Processor("T4", 14.6, 65, 320, share=0.3, capability=7.5),
    "NVIDIA L4": Processor("L4", 22.2, 121, 300, share=0.4, capability=8.9),
    "NVIDIA GeForce RTX 4090": Processor("RTX 4090", 23.5, 165, 1008, share=0.5, capability=8.9),
    "NVIDIA A100-SXM4-40GB": Processor("A100 40 GB", 39.4, 312, 1555, share=0.48, capability=8.0),
    "NVIDIA A100-PCIE-40GB": Processor("A100 PCIe 40 GB", 39.4, 312, 1555, share=0.48, capability=8.0),
    "NVIDIA A100-SXM4-80GB": Processor("A100 80 GB", 79.1, 312, 2039, share=0.48, capability=8.0),
    "NVIDIA A100 80GB PCIe": Processor("A100 PCIe 80 GB", 79.1, 312, 1935, share=0.48, capability=8.0),
    "NVIDIA H100 80GB HBM3": Processor("H100", 79.1, 989, 3350, share=0.28, capability=9.0),
    "NVIDIA H100 PCIe": Processor("H100 PCIe", 79.1, 756, 2000, share=0.28, capability=9.0),
    "NVIDIA H100 NVL": Processor("H100 NVL", 93.1, 835, 3900, share=0.28, capability=9.0),
    "NVIDIA H200": Processor("H200", 139.8, 989, 4800, share=0.28, capability=9.0),
}
# From each model's config.json, by its name in conf/models/catalogue.
NETWORKS = {
    "qwen3-14b": Network(13.2e9, 14.8e9, 40, 5120, 8),
    "qwen3-14b-fp8": Network(13.2e9, 14.8e9, 40, 5120, 8, arithmetic="fp8_blocks"),
    "qwen3-14b-awq": Network(13.2e9, 14.8e9, 40, 5120, 8, arithmetic="awq"),
    "qwen2.5-72b-awq": Network(70.2e9, 72.7e9, 80, 8192, 8, arithmetic="awq"),
    "qwen3-4b": Network(3.6e9, 4.0e9, 36, 2560, 8),
    "qwen3-1.7b": Network(1.41e9, 1.72e9, 28, 2048, 8),
    "qwen3-0.6b": Network(0.44e9, 0.6e9, 28, 1024, 8),
    "qwen2.5-coder-1.5b": Network(1.31e9, 1.54e9, 28, 1536, 2),
    "qwen2.5-coder-0.5b": Network(0.36e9, 0.49e9, 24, 896, 2, head_size=64),
    "xlm-roberta-large": Network(0.302e9, 0.56e9, 24, 1024),
    "e5-large-instruct": Network(0.302e9, 0.56e9, 24, 1024),
    "frida": Network(0.679e9, 0.823e9, 24, 1536),
    "berta": Network(0.085e9, 0.128e9, 12, 768),
    "e5-small": Network(0.021e9, 0.118e9, 12, 384),
    "embeddinggemma-300m": Network(0.101e9, 0.303e9, 24, 768, 1, head_size=256),
}


def cpu(dtype: str) -> Processor:
    """This machine's processor, measured with numbers of `dtype`."""
    return Processor("CPU", 0.0, matmul_rate(dtype) / 1e12, memory_rate() / 1e9, share=MATMUL_SHARE)


def cpu_run(params: Params, reviews: int, asked: int, written: int) -> float | None:
    """Seconds of a whole run for so many `reviews`, checked ones included, on this machine's processor.

    The teacher is `asked` about so many of them; `written` are the texts that the vocabulary gives, mixed ones
    included. Without downloads; None if a network is not known.
    """
    roles = ("teacher", "generator", "student", "embedder")
    teacher, generator, student, embedder = (NETWORKS.get(params.models[role].name) for role in roles)
    if not teacher or not generator or not student or not embedder:
        return None
    dtype, engine = engine_dtype(params.vllm.dtype), params.vllm
    candidates = CANDIDATES * params.plan.wanted * len(params.labels.names) * bool(params.generate.base.candidates)
    line = params.prompt.reasoning_tokens if params.prompt.reasoning_prefix else 0
    labelled = asked * params.label.orders + candidates * (params.generate.filters.readers == "both")
    label = Expected(teacher.to_read, round(labelled), UNCACHED * labelled, line / 2 * labelled, engine.max_num_seqs)
    write = Expected(
        generator.to_read, round(candidates), CPU_EXAMPLES * candidates, CPU_WRITTEN * candidates, engine.max_num_seqs
    )
    processor, distil = cpu("float32"), params.distil
    texts = reviews + candidates + WRITTEN_TEXT * written
    words = 0.0 if distil.into is None else WORD * distil.words
    # Each text goes through the embedder once, for a student of the same encoder, too; some for latency again.
    timed = params.benchmark.singles + params.benchmark.batch_size * params.benchmark.batches
    read = (texts + words) * embedder.operations(STUDENT_REVIEW, STUDENT_REVIEW)
    read += timed * student.operations(STUDENT_REVIEW, STUDENT_REVIEW)
    trained = Student(student, processor, params.train.lora is not None)
    recompute = recomputes(params.train, processor)
    learn = len(PROVENANCES) * params.train.epochs * trained.epoch(texts, params.train.batch_size, recompute=recompute)
    if distil.into == "student":
        lessons = min(texts, distil.texts) + words
        learn += distil.epochs * trained.epoch(lessons, distil.batch_size, recompute=False)
    return label.seconds(dtype) + write.seconds(dtype) + read / processor.rate + learn + CPU_FIXED


@dataclass(frozen=True)
class Teacher:
    """A language model of `weights_gb` on one processor, or split over several, with the engine's settings."""

    network: Network
    weights_gb: float
    card: Processor
    engine: Vllm

    @property
    def _cards(self) -> float:
        count = self.engine.tensor_parallel_size
        return count if count == 1 else count * PARALLEL_SHARE

    def reading(self, tokens: float, context: float) -> float:
        """Seconds to read `tokens` of a prompt: operations / (peak x share x gain of the weights' format)."""
        return self.network.operations(tokens, context) / (self.card.rate * self._gain * self._cards)

    @property
    def _gain(self) -> float:
        if self.network.arithmetic == "awq":
            return AWQ_GAIN
        # Below, the kernels unpack the weights and multiply in half precision.
        from_capability = {"fp8": FP8_FROM, "fp8_blocks": FP8_BLOCKS_FROM}.get(self.network.arithmetic, math.inf)
        return FP8_GAIN if self.card.capability >= from_capability else 1.0

    def step(self, sequences: int, context: float) -> float:
        """Seconds in which each of `sequences` gets a token: (weights + cache read) / bandwidth, or the arithmetic."""
        read = self.weights_gb * 1e9 + sequences * context * self.network.kv_bytes
        return max(read / (self.card.bytes_per_second * self._cards), self.reading(sequences, context))

    @property
    def cache_tokens(self) -> int:
        """Tokens for which the key-value cache has room: what the weights leave of the memory that vLLM may use."""
        if self.engine.device == "cpu":
            return int(self.engine.kv_cache_gib * GIB / self.network.kv_bytes)
        free = self.card.gib * self.engine.gpu_memory_utilization - RESERVED_GIB
        free = free * self.engine.tensor_parallel_size - self.weights_gb * 1e9 / GIB
        return max(0, int(free * GIB / self.network.kv_bytes))

    def sequences(self, own_tokens: int) -> int:
        """Requests at a time, each with `own_tokens` beside a prompt that all share."""
        return max(1, min(self.engine.max_num_seqs, (self.cache_tokens - PROMPT) // own_tokens))

    def label(self) -> float:
        """Seconds a review for the category alone."""
        return self.reading(UNCACHED, PROMPT)

    def explain(self) -> float:
        """Seconds more a review for an explanation: the review is read again, and `EXPLANATION` tokens are written."""
        at_a_time = self.sequences(UNCACHED + EXPLANATION)
        return self.reading(UNCACHED, PROMPT) + EXPLANATION * self.step(at_a_time, PROMPT) / at_a_time

    def write(self) -> float:
        """Seconds a synthetic candidate, whose examples are mostly cached."""
        own = EXAMPLES + WRITTEN
        at_a_time = self.sequences(own)
        return self.reading(FRESH_EXAMPLES, EXAMPLES) + WRITTEN * self.step(at_a_time, own) / at_a_time


@dataclass(frozen=True)
class Student:
    """An encoder on one processor, trained whole or by low-rank updates beside its weights (`lora`).

    Batches hold texts of similar length: `padding` is what they add.
    """

    network: Network
    card: Processor
    lora: bool = False
    padding: float = 1.15

    def epoch(self, rows: float, batch_size: int, *, recompute: bool) -> float:
        """Seconds an epoch of `rows`; a step cannot be shorter than its kernels take to launch.

        A step costs three forward passes, four with checkpointing, whose bookkeeping doubles the launches, and AdamW's
        28 bytes read and written a weight. Weights that stay as they are need no gradient, which is one of the passes.
        """
        passes = (4 if recompute else 3) - self.lora
        tokens = batch_size * STUDENT_REVIEW * self.padding
        # A processor without a card loses nothing between kernels.
        share = TRAINING_SHARE if self.card.capability else 1.0
        compute = passes * self.network.operations(tokens, STUDENT_REVIEW) / (self.card.rate * share)
        launch = (6 if recompute else 3) * self.network.layers * TRAINING_LAUNCH_MS / 1000
        moved = 0 if self.lora else 28 * self.network.weights
        return rows / batch_size * (max(compute, launch) + moved / self.card.bytes_per_second)

    def single(self) -> float:
        """Seconds for one review: launches, weights in half precision, or arithmetic, whichever is longest."""
        read = 2 * self.network.body / self.card.bytes_per_second
        launch = self.network.layers * LAUNCH_MS / 1000
        return max(launch, read, self.network.operations(STUDENT_REVIEW, STUDENT_REVIEW) / self.card.rate)

    def batched(self, batch_size: int) -> float:
        """Seconds a review in batches."""
        tokens = batch_size * STUDENT_REVIEW * self.padding
        compute = self.network.operations(tokens, STUDENT_REVIEW) / self.card.rate
        return max(compute, self.network.layers * LAUNCH_MS / 1000) / batch_size


def teacher(params: Params, card: Processor) -> Teacher | None:
    """The configured teacher on `card`, if its network is known."""
    model = params.models["teacher"]
    network = NETWORKS.get(model.name)
    if not network:
        return None
    if params.vllm.quantization == AT_LOAD:
        # A byte a weight of the layers, two of what is looked up and of the last product.
        loaded = (2 * network.weights - network.body) / 1e9
        return Teacher(replace(network, arithmetic="fp8"), loaded, card, params.vllm)
    return Teacher(network, model.folder_gb, card, params.vllm)


def student(params: Params, card: Processor) -> Student | None:
    """The configured student on `card`, if its network is known."""
    network = NETWORKS.get(params.models["student"].name)
    return Student(network, card, params.train.lora is not None) if network else None


def recomputes(train: Train, card: Processor) -> bool:
    """What `train.gradient_checkpointing` comes to on `card`, roughly; a processor without a card has room."""
    if train.gradient_checkpointing == "auto":
        return card.capability > 0 and card.gib < WHOLE_STEP_GIB
    return bool(train.gradient_checkpointing)


def beside_engine(params: Params, card_gib: float) -> tuple[float, float]:
    """Gibibytes that the engine leaves of a card of `card_gib`, and that the embedder of stage `generate` takes."""
    left = card_gib * (1 - params.vllm.gpu_memory_utilization)
    return left, params.models["embedder"].folder_gb * 1e9 / GIB + EMBEDDER_GIB
