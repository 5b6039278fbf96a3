"""How long a run takes and how much fits, computed from a few published numbers.

A matrix product of P weights costs 2P operations a token (Kaplan et al. 2020, section 2.1). Reading a prompt is bound
by arithmetic, writing an answer token by token by memory. Processors reach a share of their peak; the shares come from
published measurements that docs/gpu.md names, and `benchmarks/gpu_sizing.py` compares both. Nothing of this was
measured on a graphics card by this project: take it for the order of magnitude. A processor without a card is
measured where it stands, and a whole run on it told by `stages/common/work.py`, as stages tell their own part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from stages.common.peak import engine_dtype, matmul_rate, memory_rate
from stages.common.provenances import PROVENANCES
from stages.common.work import MATMUL_SHARE, Expected, Weights
from stages.composition.params import Params
from stages.hardware.machine import GIB
from stages.llm.config import Vllm

# A review and its answer in tokens: what the prefix cache cannot hold of a labelling prompt is the review, half a
# block of 16, the turn's end and the start of the answer; the whole prompt counts for attention and the cache.
REVIEW, UNCACHED, PROMPT = 40, 64, 640
EXPLANATION, WRITTEN, EXAMPLES = 40, 60, 400
# Gibibytes that activations and CUDA graphs take beside weights and cache.
RESERVED_GIB = 1.5
# Share of the memory bandwidth that decoding reaches, of its own arithmetic that training does, of two cards that
# tensor parallelism leaves.
BANDWIDTH_SHARE, TRAINING_SHARE, PARALLEL_SHARE = 0.77, 0.5, 0.8
# Against half precision: 8-bit arithmetic where the card has it, and 4-bit weights, unpacked first (with a margin).
FP8_GAIN, AWQ_GAIN = 1.4, 0.8
# Of a run on a processor: candidates for each row that a category shall have, the fresh tokens of their prompts and
# theirs; seconds for converting weights, starting engines, importing libraries and drawing, as the sample's run had.
CANDIDATES, CPU_EXAMPLES, CPU_WRITTEN, CPU_FIXED = 2, 100, 25, 400
# Milliseconds in which PyTorch launches the kernels of one encoder layer, forward.
LAUNCH_MS = 0.4


@dataclass(frozen=True)
class Processor:
    """Peaks without sparsity: half-precision TFLOP/s, memory in GB/s; `share` of the peak that products reach."""

    name: str
    gib: float
    tflops: float
    bandwidth: float
    share: float
    has_fp8: bool = False

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
    """`body`: weights that every token meets (embeddings apart); `weights`: all; attention of `layers` x `kv_heads`."""

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


# Dense peaks of NVIDIA's data sheets; keys are parts of the names that the driver gives.
PROCESSORS = {
    "T4": Processor("T4", 14.6, 65, 320, share=0.3),
    "L4": Processor("L4", 22.2, 121, 300, share=0.4, has_fp8=True),
    "RTX 4090": Processor("RTX 4090", 23.5, 165, 1008, share=0.5, has_fp8=True),
    "A100-SXM4-40GB": Processor("A100 40 GB", 39.4, 312, 1555, share=0.48),
    "A100-SXM4-80GB": Processor("A100 80 GB", 79.1, 312, 2039, share=0.48),
    "H100": Processor("H100 80 GB", 79.1, 989, 3350, share=0.28, has_fp8=True),
}
# From each model's config.json, by its name in conf/models/catalogue.
NETWORKS = {
    "qwen3-14b": Network(13.2e9, 14.8e9, 40, 5120, 8),
    "qwen3-14b-fp8": Network(13.2e9, 14.8e9, 40, 5120, 8, arithmetic="fp8"),
    "qwen3-14b-awq": Network(13.2e9, 14.8e9, 40, 5120, 8, arithmetic="awq"),
    "qwen2.5-72b-awq": Network(70.2e9, 72.7e9, 80, 8192, 8, arithmetic="awq"),
    "qwen2.5-coder-1.5b": Network(1.31e9, 1.54e9, 28, 1536, 2),
    "qwen2.5-coder-0.5b": Network(0.36e9, 0.49e9, 24, 896, 2, head_size=64),
    "xlm-roberta-large": Network(0.302e9, 0.56e9, 24, 1024),
    "e5-small": Network(0.021e9, 0.118e9, 12, 384),
    "embeddinggemma-300m": Network(0.101e9, 0.303e9, 24, 768, 1, head_size=256),
}


def cpu(dtype: str) -> Processor:
    """This machine's processor, measured with numbers of `dtype`."""
    return Processor("CPU", 0.0, matmul_rate(dtype) / 1e12, memory_rate() / 1e9, share=MATMUL_SHARE)


def cpu_run(params: Params, reviews: int) -> float | None:
    """Seconds of a whole run for so many `reviews`, checked ones included, on this machine's processor.

    Without downloads; None if the teacher's or the student's network is not known.
    """
    teacher, generator, student = (
        NETWORKS.get(params.models[role].name) for role in ("teacher", "generator", "student")
    )
    if not teacher or not generator or not student:
        return None
    dtype, engine = engine_dtype(params.vllm.dtype), params.vllm
    candidates = CANDIDATES * params.plan.wanted * len(params.labels.names) * bool(params.generate.base.candidates)
    line = params.prompt.reasoning_tokens if params.prompt.reasoning_prefix else 0
    labelled = reviews * params.label.orders + candidates * (params.generate.filters.readers == "both")
    label = Expected(teacher.to_read, round(labelled), UNCACHED * labelled, line / 2 * labelled, engine.max_num_seqs)
    write = Expected(
        generator.to_read, round(candidates), CPU_EXAMPLES * candidates, CPU_WRITTEN * candidates, engine.max_num_seqs
    )
    # Each text goes through the encoder once; the checked ones for the export, and some for latency, again.
    timed = params.benchmark.singles + params.benchmark.batch_size * params.benchmark.batches
    texts = reviews + candidates + timed
    processor = cpu("float32")
    encode = texts * student.operations(REVIEW, REVIEW) / processor.rate
    recompute = params.train.gradient_checkpointing
    epoch = Student(student, processor).epoch(round(reviews + candidates), params.train.batch_size, recompute=recompute)
    learn = len(PROVENANCES) * params.train.epochs * epoch
    return label.seconds(dtype) + write.seconds(dtype) + encode + learn + CPU_FIXED


def processor(name: str) -> Processor | None:
    """The known card whose name is part of what the driver calls it."""
    return next((found for key, found in PROCESSORS.items() if key in name), None)


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
        gain = {"fp8": FP8_GAIN if self.card.has_fp8 else 1.0, "awq": AWQ_GAIN}.get(self.network.arithmetic, 1.0)
        return self.network.operations(tokens, context) / (self.card.rate * gain * self._cards)

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
        """Seconds more a review for an explanation: the review is read again, and some forty tokens are written."""
        at_a_time = self.sequences(UNCACHED + EXPLANATION)
        return self.reading(UNCACHED, PROMPT) + EXPLANATION * self.step(at_a_time, PROMPT) / at_a_time

    def write(self) -> float:
        """Seconds a synthetic candidate that reads its examples anew: that a group shares them is left out."""
        own = EXAMPLES + WRITTEN
        at_a_time = self.sequences(own)
        return self.reading(EXAMPLES, EXAMPLES / 2) + WRITTEN * self.step(at_a_time, own) / at_a_time


@dataclass(frozen=True)
class Student:
    """An encoder on one processor. Batches hold texts of similar length: `padding` is what they add."""

    network: Network
    card: Processor
    padding: float = 1.15

    def epoch(self, rows: int, batch_size: int, *, recompute: bool) -> float:
        """Seconds an epoch of `rows`; a step cannot be shorter than its kernels take to launch.

        A step costs three forward passes, four with checkpointing, and AdamW's 28 bytes read and written a weight.
        """
        passes = 4 if recompute else 3
        tokens = batch_size * REVIEW * self.padding
        compute = passes * self.network.operations(tokens, REVIEW) / (self.card.rate * TRAINING_SHARE)
        launch = passes * self.network.layers * LAUNCH_MS / 1000
        return rows / batch_size * (max(compute, launch) + 28 * self.network.weights / self.card.bytes_per_second)

    def single(self) -> float:
        """Seconds for one review: launches, weights in half precision, or arithmetic, whichever is longest."""
        read = 2 * self.network.body / self.card.bytes_per_second
        launch = self.network.layers * LAUNCH_MS / 1000
        return max(launch, read, self.network.operations(REVIEW, REVIEW) / self.card.rate)

    def batched(self, batch_size: int) -> float:
        """Seconds a review in batches."""
        compute = self.network.operations(batch_size * REVIEW * self.padding, REVIEW) / self.card.rate
        return max(compute, self.network.layers * LAUNCH_MS / 1000) / batch_size


def download_gb(params: Params) -> float:
    """Decimal gigabytes to fetch; a model in two roles is fetched once."""
    return sum({model.name: model.download_gb for model in params.models.values()}.values())


def disk_gb(params: Params) -> float:
    """Decimal gigabytes on disk at most: a folder for every model, the hub's downloads, and one conversion's scratch.

    Roles with the same model have one folder's bytes between them. A download that is converted is there twice, in
    parts and put together, and only until it is converted.
    """
    models = {model.name: model for model in params.models.values()}.values()
    kept = sum(model.download_gb for model in models if model.format == "huggingface")
    scratch = max((2 * model.download_gb for model in models if model.format != "huggingface"), default=0.0)
    return sum(model.folder_gb for model in models) + kept + scratch


def teacher(params: Params, card: Processor) -> Teacher | None:
    """The configured teacher on `card`, if its network is known."""
    model = params.models["teacher"]
    network = NETWORKS.get(model.name)
    return Teacher(network, model.folder_gb, card, params.vllm) if network else None


def student(params: Params, card: Processor) -> Student | None:
    """The configured student on `card`, if its network is known."""
    network = NETWORKS.get(params.models["student"].name)
    return Student(network, card) if network else None
