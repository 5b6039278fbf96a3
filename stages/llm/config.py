"""Section `vllm`: the engine."""

from __future__ import annotations

from stages.common.config import require, require_option, section


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
