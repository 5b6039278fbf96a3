"""vLLM in this process: exact distributions over given answers, and sampled completions."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import sys
import time
from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from stages.llm.answer_tree import answer_logprobs, branching_nodes
from stages.llm.backend import Choice, Completion, Refusal, Sampling, model_identity, model_name, require_card
from stages.llm.config import Vllm
from stages.running.errors import BackendError, ModelError, card_memory, lacks_memory
from stages.running.io import read_json
from stages.running.peak import engine_dtype, physical_cores
from stages.running.progress import Progress
from stages.running.record import duration
from stages.running.work import LONG, Expected, Usage, Weights, fresh_tokens, language_model

logger = logging.getLogger(__name__)

# How many prompts tell what all of them will take, and which share of the tokens that a text may have it comes to have.
FORETOLD_FROM, WRITTEN_SHARE = 256, 0.5
# Tokens a block of vLLM's prefix cache where `vllm.block_size` leaves it to vLLM.
DEFAULT_BLOCK = 16

# What helps where a card's memory does not suffice, by what vLLM says of it; and where torch says so, at whatever time.
REMEDIES = {
    "less than desired GPU memory utilization": "end what else runs on the card, or lower vllm.gpu_memory_utilization",
    "available KV cache": "raise vllm.gpu_memory_utilization, lower vllm.max_model_len, or choose a smaller model",
    "memory for the cache blocks": "raise vllm.gpu_memory_utilization, or choose a smaller model",
}
FULL = (
    "lower vllm.max_num_seqs and vllm.max_num_batched_tokens, or vllm.gpu_memory_utilization if something else runs on "
    "the card, or choose a smaller model"
)

# Of a prompt, at four bytes each while it waits: a million prompts are kept so.
Tokens: TypeAlias = "array[int]"
# A request to the engine: prompt tokens and vLLM's sampling parameters.
Question = tuple[list[int], Any]
Answer = TypeVar("Answer")
# Yields the questions of one turn, is sent their outputs in order, and returns the answer.
Dialogue: TypeAlias = Generator[list[Question], list[Any], Answer]


@dataclass
class _Open(Generic[Answer]):
    """A dialogue that waits for `parts` outputs."""

    index: int
    dialogue: Dialogue[Answer]
    parts: int = 0
    outputs: dict[int, Any] = field(default_factory=dict)


class VllmBackend:
    """The model in `folder` behind vLLM. The engine starts at the first question, so a cached run never starts it.

    Raises:
        ModelError: `folder` holds no model.
    """

    def __init__(self, folder: Path, engine: Vllm) -> None:
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder} holds no model: config.json is missing; run `dvc repro models`")
        self.folder = folder
        self.settings = engine
        self.dtype = engine_dtype(engine.dtype)
        self.name = model_name(folder)
        libraries = (engine_package(), "torch", "transformers", "tokenizers")
        self.identity = model_identity(folder, "vllm", libraries, **what_changes_sums(folder, self.dtype, engine))
        self._numbers = itertools.count()

    @cached_property
    def tokenizer(self) -> Any:
        """That of transformers, which takes seconds to import: not where all answers are known."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.folder)

    def render(self, user: str, *, thinking: bool = False) -> str:
        """Wrap a user message in the model's chat template; `thinking` matters to templates that know it (Qwen3)."""
        rendered: str = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": user}], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
        )
        return rendered

    def neutralise(self, text: str) -> str:
        """Break every control token that `text` spells out, so that a review cannot end its own turn."""
        for token in self.control_tokens:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def filler(self, prompts: Sequence[str]) -> str:
        """As many tokens of padding as make what `prompts` share fill whole blocks of the prefix cache.

        Only whole blocks are found again: without it, half a block on average is computed anew for each prompt.
        """
        token = self.tokenizer.pad_token or self.tokenizer.eos_token or ""
        alike = (len(set(tokens)) == 1 for tokens in zip(*map(self._encode, prompts), strict=False))
        shared = sum(1 for _ in itertools.takewhile(bool, alike))
        return token * (-shared % (self.settings.block_size or DEFAULT_BLOCK))

    @cached_property
    def control_tokens(self) -> list[str]:
        """Added tokens such as `<|im_end|>`, longest first."""
        file = self.folder / "tokenizer.json"
        if file.is_file():
            added = [token["content"] for token in read_json(file)["added_tokens"]]
        else:
            added = list(self.tokenizer.get_added_vocab())
        return sorted((token for token in added if len(token) > 1), key=len, reverse=True)

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], reasoning: Sampling | None = None
    ) -> Iterator[tuple[int, Choice | Refusal]]:
        """Yield (index, choice); see `Backend.choose`.

        The answers' tokens form a tree. Each branching node is one request for a single token, constrained to
        the node's children; an answer's log-probability is the sum over the nodes on its way. Where the first
        token tells all answers apart this is one request a prompt.
        """
        # The newline closes an answer, so that one which begins another can still be told apart from it.
        tokens = [self._encode(answer + "\n") for answer in answers]
        nodes = branching_nodes(tokens)
        # The line of reasoning with its end, the way to the last node, and the token that is drawn there.
        room = (reasoning.max_tokens + 1 if reasoning else 0) + max(map(len, nodes)) + 1
        fitting = yield from self._fitting(prompts, [room] * len(prompts))
        if not fitting:
            return
        self._start()
        from vllm import SamplingParams

        def dialogue(index: int) -> Dialogue[Choice]:
            prompt_tokens, written = list(fitting[index]), ""
            if reasoning:
                [output] = yield [(prompt_tokens, sampling_params(reasoning))]
                written = self.neutralise(output.text.rstrip())
                # As a whole: where two texts meet, their letters may become one token.
                prompt_tokens = self._encode(f"{prompts[index]}{written}\n")
            outputs = yield [
                (
                    prompt_tokens + list(node),
                    SamplingParams(
                        max_tokens=1,
                        temperature=0.0,
                        allowed_token_ids=children,
                        logprob_token_ids=children,
                        detokenize=False,
                    ),
                )
                for node, children in nodes.items()
            ]
            found = {
                node: {child: output.logprobs[0][child].logprob for child in children}
                for (node, children), output in zip(nodes.items(), outputs, strict=True)
            }
            *logprobs, mass = answer_logprobs(tokens, found)
            return Choice(written.strip(), logprobs, mass)

        requests = len(nodes) + (reasoning is not None)
        written = len(nodes) + (reasoning.max_tokens * WRITTEN_SHARE if reasoning else 0)
        asked = list(fitting)
        self._foretell(list(fitting.values()), requests, written * len(asked))
        for place, choice in self._converse(map(dialogue, asked)):
            yield asked[place], choice

    def complete(
        self, prompts: Sequence[str], samplings: Sequence[Sampling]
    ) -> Iterator[tuple[int, Completion | Refusal]]:
        """Yield (index, completion) as each is finished."""
        fitting = yield from self._fitting(prompts, [sampling.max_tokens for sampling in samplings])
        if not fitting:
            return
        self._start()

        def dialogue(index: int) -> Dialogue[Completion]:
            [output] = yield [(list(fitting[index]), sampling_params(samplings[index]))]
            return Completion(output.text, output.cumulative_logprob / max(1, len(output.token_ids)))

        asked = list(fitting)
        self._foretell(list(fitting.values()), 1, sum(samplings[index].max_tokens for index in asked) * WRITTEN_SHARE)
        for place, completion in self._converse(map(dialogue, asked)):
            yield asked[place], completion

    def _fitting(
        self, prompts: Sequence[str], room: Sequence[int]
    ) -> Generator[tuple[int, Refusal], None, dict[int, Tokens]]:
        """Refuse the prompts that leave less than `room` tokens for their answers; return the others by index."""
        limit = self.settings.max_model_len
        fitting = {}
        for index, (prompt, wanted) in enumerate(zip(prompts, room, strict=True)):
            tokens = self._encode(prompt)
            needed = len(tokens) + wanted
            if needed <= limit:
                fitting[index] = array("i", tokens)
                continue
            reason = (
                f"its prompt of {len(tokens)} tokens and {wanted} for the answer are {needed}, and "
                f"vllm.max_model_len={limit}: raise it (and vllm.max_num_batched_tokens to no less), or lower "
                "data.max_chars"
            )
            yield index, Refusal(reason)
        return fitting

    def _encode(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return tokens

    def _converse(self, dialogues: Iterable[Dialogue[Answer]]) -> Iterator[tuple[int, Answer]]:
        """Step the engine under all dialogues; yield (index, answer) at once, so that it can be stored.

        No more dialogues are open than the engine holds twice over: a prompt's second request comes while the blocks
        of its first are still cached, and a million prompts do not queue up in memory.
        """
        usage = Usage(self._weights, "answers")
        engine = self._engine
        start = time.perf_counter()
        waiting = enumerate(dialogues)
        asked: dict[str, tuple[_Open[Answer], int]] = {}
        try:
            while True:
                opened = {id(dialogue) for dialogue, _ in asked.values()}
                for index, dialogue in islice(waiting, max(0, 2 * self.settings.max_num_seqs - len(opened))):
                    self._ask(_Open(index, dialogue), next(dialogue), asked)
                if not asked:
                    return
                with card_memory(FULL):
                    outputs = engine.step()
                for output in outputs:
                    if not output.finished:
                        continue
                    prompt = len(output.prompt_token_ids)
                    usage.add(prompt - output.num_cached_tokens, len(output.outputs[0].token_ids))
                    current, part = asked.pop(output.request_id)
                    current.outputs[part] = output.outputs[0]
                    if len(current.outputs) < current.parts:
                        continue
                    try:
                        questions = current.dialogue.send([current.outputs[part] for part in range(current.parts)])
                    except StopIteration as finished:
                        usage.pieces += 1
                        yield current.index, finished.value
                    else:
                        self._ask(current, questions, asked)
        finally:
            if asked:
                engine.abort_request(sorted(asked))
            seconds = time.perf_counter() - start
            usage.tell(self.folder.name, seconds, self.dtype, self.settings.tensor_parallel_size)

    def _ask(
        self, current: _Open[Answer], questions: list[Question], asked: dict[str, tuple[_Open[Answer], int]]
    ) -> None:
        current.outputs, current.parts = {}, len(questions)
        for part, (tokens, params) in enumerate(questions):
            request_id = str(next(self._numbers))
            self._engine.add_request(request_id, {"prompt_token_ids": tokens}, params)
            asked[request_id] = current, part

    @cached_property
    def _weights(self) -> Weights:
        return language_model(self.folder)

    def _foretell(self, prompts: Sequence[Tokens], requests: int, written: float) -> None:
        """Log how long it takes to answer `prompts` by so many `requests` each and `written` tokens in all, if long."""
        block = self.settings.block_size or DEFAULT_BLOCK
        first = [list(tokens) for tokens in prompts[:FORETOLD_FROM]]
        fresh = fresh_tokens(first, block) * len(prompts) / max(1, len(first))
        # A further request finds its prompt in the cache but for the last block, which is half full on average.
        fresh += (requests - 1) * len(prompts) * block / 2
        further = max(0.0, written - requests * len(prompts))
        expected = Expected(self._weights, len(prompts), fresh, further, self.settings.max_num_seqs)
        seconds = expected.seconds(self.dtype, self.settings.tensor_parallel_size)
        if seconds >= LONG:
            start = "" if "_engine" in self.__dict__ else ", once the engine has started"
            about = duration(seconds, rough=True)
            logger.info("%s: %d answers, about %s on this machine%s", self.folder.name, len(prompts), about, start)

    def _start(self) -> None:
        """Start the engine, if it is not; one that does not start answers nobody, and the run ends.

        Raises:
            BackendError: it does not start.
        """
        try:
            self._engine  # noqa: B018  # starts it
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            helps = FULL if lacks_memory(error) else next((REMEDIES[sign] for sign in REMEDIES if sign in reason), "")
            if helps and self.settings.device == "cuda":
                reason = f"the graphics card's memory does not suffice ({reason.split('. ')[0]}): {helps}"
            raise BackendError(f"vLLM does not start with the `vllm:` settings of params.yaml: {reason}") from error

    @cached_property
    def _engine(self) -> Any:
        require_card(self.settings)
        threads = os.environ.setdefault("OMP_NUM_THREADS", str(physical_cores()))
        # vLLM reads its environment at import; on a small CPU it would otherwise bind itself to a single core.
        for name, value in {
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
            "VLLM_CPU_KVCACHE_SPACE": str(self.settings.kv_cache_gib),
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            # With several cards there is a process for each, and a forked one could not use CUDA.
            "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
            # On a card both would be compiled by nvcc at the start, which few machines have: a sampler that no request
            # with a seed of its own uses, and matrix products of block-wise FP8, for which there are CUTLASS's.
            "VLLM_USE_FLASHINFER_SAMPLER": "0",
            "VLLM_USE_DEEP_GEMM": "0",
            "VLLM_LOGGING_LEVEL": "ERROR",
            # Standard output belongs to what a command prints.
            "VLLM_LOGGING_STREAM": "ext://sys.stderr",
            "VLLM_NO_USAGE_STATS": "1",
        }.items():
            os.environ.setdefault(name, value)
        from vllm import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine

        with Progress(f"start vLLM on {self.folder}, dtype {self.dtype}, {threads} threads"):
            return LLMEngine.from_engine_args(EngineArgs(**engine_arguments(self.folder, self.dtype, self.settings)))


def sampling_params(sampling: Sampling) -> Any:
    """vLLM's form of `sampling`."""
    from vllm import SamplingParams

    return SamplingParams(
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        repetition_penalty=sampling.repetition_penalty,
        stop=list(sampling.stop),
        seed=sampling.seed,
        # The drawn token's own, which vLLM adds up.
        logprobs=0,
    )


def engine_arguments(folder: Path, dtype: str, settings: Vllm) -> dict[str, Any]:
    """Arguments of `vllm.EngineArgs` for the model in `folder`."""
    arguments: dict[str, Any] = {
        "model": str(folder),
        "dtype": dtype,
        "hf_overrides": {} if settings.head_dtype == "model" else {"head_dtype": settings.head_dtype},
        "enforce_eager": settings.enforce_eager,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs,
        "max_num_batched_tokens": settings.max_num_batched_tokens,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "quantization": settings.quantization,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "enable_prefix_caching": True,
        # vLLM 0.32 on a CPU cannot seed a request whose prompt it computes in parts ("CPU Generator does not use
        # offset"); prompts are short enough to be computed at once.
        "enable_chunked_prefill": settings.device != "cpu",
        "generation_config": "vllm",
        "disable_log_stats": True,
        "use_tqdm_on_load": sys.stderr.isatty(),
    }
    return arguments if settings.block_size is None else arguments | {"block_size": settings.block_size}


def engine_package() -> str:
    """The distribution that vLLM was installed from: its build for the CPU has another name.

    Raises:
        BackendError: there is none.
    """
    for name in ("vllm", "vllm-cpu"):
        with contextlib.suppress(PackageNotFoundError):
            version(name)
            return name
    raise BackendError("vLLM is not installed; run `make setup`, or `make setup-gpu` for a graphics card")


def what_changes_sums(folder: Path, dtype: str, settings: Vllm) -> dict[str, object]:
    """The engine's settings by which the same prompt, computed by itself, comes out otherwise.

    How many prompts share a step (`max_num_seqs`, on a CPU `max_num_batched_tokens`, the memory of the cache) is not
    among them: whoever shares a step with a prompt differs from run to run in any case, and a run that was stopped for
    want of memory goes on with fewer at a time. `max_model_len` is where the model's positions depend on it alone.
    """
    arguments = engine_arguments(folder, dtype, settings)
    names = ["dtype", "quantization", "tensor_parallel_size", "enforce_eager", "block_size", "enable_prefix_caching"]
    if arguments["enable_chunked_prefill"]:
        names += ["enable_chunked_prefill", "max_num_batched_tokens"]
    if settings.head_dtype != "model":
        names.append("hf_overrides")
    if _positions_depend_on_length(read_json(folder / "config.json")):
        names.append("max_model_len")
    return {"device": _device(settings), **{name: arguments.get(name) for name in names}}


def _device(settings: Vllm) -> str:
    if settings.device == "cpu":
        return "cpu"
    import torch

    return f"sm{''.join(map(str, torch.cuda.get_device_capability()))}" if torch.cuda.is_available() else "none"


def _positions_depend_on_length(config: dict[str, Any]) -> bool:
    """Whether rotary positions are scaled by how long a prompt may be."""
    rope = json.dumps([config.get("rope_scaling"), config.get("rope_parameters")])
    return any(f'"{kind}"' in rope for kind in ("dynamic", "longrope", "su"))
