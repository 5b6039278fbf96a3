"""Sections `vllm` and `server`: the engine in this process, and a server in its place."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from stages.running.config import require, require_option, section


@section
class Vllm:
    """Engine settings that teacher and generator share, and the hardware that they are meant for.

    `device`, `min_gpu_gib` (memory of one card), `min_compute_capability` and `tensor_parallel_size` (how many cards)
    are compared with the machine before anything is fetched. `dtype=auto` follows the processor's abilities.
    `head_dtype=float32` has logits in it whatever the layers compute in: between 16 and 32, those of bfloat16 lie 0.125
    apart, an eighth of a probability. `model`: as the layers, for weights whose head is quantised too.
    """

    device: str
    min_gpu_gib: float
    min_compute_capability: float
    dtype: str
    head_dtype: str
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
        require_option("vllm.head_dtype", self.head_dtype, ("model", "float32"))
        require(0 < self.gpu_memory_utilization <= 1, "vllm.gpu_memory_utilization is not within 0…1")
        require(self.tensor_parallel_size >= 1, "vllm.tensor_parallel_size must be at least 1")
        require(
            self.max_num_batched_tokens >= self.max_num_seqs,
            f"vllm.max_num_batched_tokens={self.max_num_batched_tokens} is less than vllm.max_num_seqs="
            f"{self.max_num_seqs}: every sequence needs a token of each step",
        )


# What stage `models` writes in place of weights for a model that a server has: the section `Server`.
SERVED = "server.json"
# How a server's answers get their probabilities; what each takes of a server: docs/server.md.
PROBABILITIES = ("exact", "top", "votes")


@section
class Price:
    """What a million tokens cost, in whatever currency: of prompts, of those that the server had cached, of answers."""

    prompt: float
    cached: float
    written: float


@section
class Server:
    """A server that speaks OpenAI's API and answers in place of weights: `vllm serve`, or a hosted model.

    `model` is what the server calls it; `revision`, free text, tells apart what has the same name, and a new one asks
    everything anew. The key is in the environment variable `key_variable` and nowhere else. `probabilities`: `exact`
    (vLLM alone), `top` (of the likeliest tokens), `votes` (`votes` answers drawn, no log-probabilities at all).
    At most `concurrency` requests are open at a time, each for `timeout` seconds; it is made again up to `retries`
    times. The limits by the minute are those of the server's owner, null for none. `token_limit` is the request's key
    for the length of an answer, which grows by `thinking_tokens` for a model that thinks first. `extra`: further keys
    of each request that asks the model.
    """

    url: str
    model: str
    revision: str | None
    key_variable: str
    probabilities: str
    votes: int
    concurrency: int
    timeout: float
    retries: int
    requests_per_minute: int | None
    tokens_per_minute: int | None
    token_limit: str
    thinking_tokens: int
    extra: dict[str, Any]
    price: Price | None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        # Named without the URL, whose credentials would go on into logs.
        require(parts.scheme in ("http", "https") and bool(parts.hostname), "server.url is not http(s)://host/v1")
        require(
            "@" not in parts.netloc and not parts.query,
            "server.url holds credentials or a query, and would be written into params.yaml: put the key into the "
            "environment variable that server.key_variable names",
        )
        require(bool(self.model), "server.model is empty: name one that the server has (`make doctor` lists them)")
        require_option("server.probabilities", self.probabilities, PROBABILITIES)
        require_option("server.token_limit", self.token_limit, ("max_tokens", "max_completion_tokens"))
        require(min(self.votes, self.concurrency) >= 1, "server.votes and server.concurrency must be at least 1")
        require(self.timeout > 0 <= min(self.retries, self.thinking_tokens), "server: a time or number is negative")
        for limit in (self.requests_per_minute, self.tokens_per_minute):
            require(limit is None or limit > 0, "server: a limit by the minute is not above 0; null is none")

    @property
    def has_logprobs(self) -> bool:
        """Whether it is asked for log-probabilities."""
        return self.probabilities != "votes"
