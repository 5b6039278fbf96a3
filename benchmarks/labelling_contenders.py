"""Who labels in `benchmarks/labelling.py`: this project's teacher, and the same weights as people use them.

Each is made in a process of its own and imports its library there. `label` takes reviews or their prompts, and returns
what was answered and which requests it took.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch

from stages.composition.params import Params
from stages.hardware.sizing import Network
from stages.labelling.teacher import Teacher
from stages.llm.cache import CachedModel, ResponseCache
from stages.llm.config import Vllm
from stages.llm.vllm_backend import VllmBackend
from stages.vocabulary.vocabulary import read_seeds


@dataclass(frozen=True)
class Request:
    """A prompt of so many tokens, `cached` of them known from before, and so many tokens written after it."""

    cached: int
    prompt: int
    written: int

    @property
    def computed(self) -> int:
        """Tokens that went through the network; the last one written did not."""
        return self.prompt - self.cached + self.written - 1

    def operations(self, network: Network) -> float:
        """Each computed token attends to all before it; each written one costs the output matrix too."""
        context = (self.cached + self.prompt + self.written - 1) / 2
        return network.operations(self.computed, context) + 2 * (network.weights - network.body) * self.written


@dataclass
class Labelled:
    """What a round came to: a text for each review, and the requests that it took."""

    texts: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def add(self, text: str, request: Request) -> None:
        """Note a review that took one request."""
        self.texts.append(text)
        self.requests.append(request)


@dataclass(frozen=True)
class Writing:
    """How the others write: up to so many tokens, the likeliest each time, until one of these texts."""

    max_tokens: int
    stop: tuple[str, ...]


class CountingBackend(VllmBackend):
    """The backend of a run, noting what its engine computes."""

    def __init__(self, folder: Path, engine: Vllm) -> None:
        """As `VllmBackend`."""
        super().__init__(folder, engine)
        self.requests: list[Request] = []

    @cached_property
    def _engine(self) -> Any:
        engine = super()._engine
        step = engine.step

        def noted() -> list[Any]:
            outputs: list[Any] = step()
            self.requests += [_request(output) for output in outputs if output.finished]
            return outputs

        engine.step = noted
        return engine


class Ours:
    """The teacher as stage `label` makes it, with an empty cache of answers."""

    def __init__(self, folder: Path, params: Params) -> None:
        """Make the teacher; its engine starts at the first review."""
        self.backend = CountingBackend(folder, params.vllm)
        self.scratch = TemporaryDirectory()
        model = CachedModel(self.backend, ResponseCache(Path(self.scratch.name) / "responses.sqlite"))
        seeds = read_seeds(params.vocabulary.seeds, params.labels.names)
        self.teacher = Teacher(model, params.labels.names, params.prompt, params.label, seeds)

    def label(self, reviews: Sequence[str]) -> Labelled:
        """Label reviews that no round had before."""
        answers, _ = self.teacher.label_reviews(pd.DataFrame({"text": reviews}))
        requests = [*self.backend.requests]
        self.backend.requests.clear()
        return Labelled(answers["raw"].to_list(), requests)


class Transformers:
    """`AutoModelForCausalLM.generate`."""

    def __init__(self, folder: Path, dtype: str, writing: Writing) -> None:
        """Load the weights."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).train(False)
        self.writing = writing

    @torch.inference_mode()
    def label(self, prompts: Sequence[str], batch_size: int) -> Labelled:
        """Answer so many prompts at a time, padded on the left; padding counts as computed, for it was."""
        labelled = Labelled()
        stops = {"stop_strings": list(self.writing.stop), "tokenizer": self.tokenizer} if self.writing.stop else {}
        for start in range(0, len(prompts), batch_size):
            batch = self.tokenizer(prompts[start : start + batch_size], padding=True, return_tensors="pt")
            given = self.model.generate(**batch, max_new_tokens=self.writing.max_tokens, do_sample=False, **stops)
            read = batch["input_ids"].shape[1]
            for row in given[:, read:]:
                text = self.tokenizer.decode(row, skip_special_tokens=True)
                labelled.add(str(text), Request(cached=0, prompt=read, written=len(row)))
        return labelled


class QuickVllm:
    """`vllm.LLM.generate` with all prompts in one call, as the quick start shows it.

    Without the thread settings it would bind itself to one of two cores; they are those of a run.
    """

    def __init__(self, folder: Path, dtype: str, writing: Writing, params: Params, threads: int) -> None:
        """Start the engine."""
        os.environ |= {
            "OMP_NUM_THREADS": str(threads),
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
            "VLLM_CPU_KVCACHE_SPACE": str(params.vllm.kv_cache_gib),
            "VLLM_LOGGING_LEVEL": "ERROR",
            "VLLM_NO_USAGE_STATS": "1",
        }
        from vllm import LLM, SamplingParams

        self.engine = LLM(str(folder), dtype=dtype, max_model_len=params.vllm.max_model_len)
        self.sampling = SamplingParams(temperature=0.0, max_tokens=writing.max_tokens, stop=list(writing.stop))

    def label(self, prompts: Sequence[str]) -> Labelled:
        """Answer."""
        labelled = Labelled()
        for output in self.engine.generate(list(prompts), self.sampling, use_tqdm=False):
            labelled.add(output.outputs[0].text, _request(output))
        return labelled


class LlamaCpp:
    """llama-cpp-python on the GGUF file that the teacher's folder was made from, in its own 4 bits."""

    def __init__(self, gguf: Path, writing: Writing, context: int, threads: int) -> None:
        """Load the file."""
        from llama_cpp import Llama

        # By itself it takes half of the cores.
        self.model = Llama(str(gguf), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False)
        self.writing = writing

    def label(self, prompts: Sequence[str]) -> Labelled:
        """Answer; it keeps what the prompt has in common with the text before."""
        labelled = Labelled()
        for prompt in prompts:
            tokens = self.model.tokenize(prompt.encode(), special=True)
            # The last token is always computed anew, for the one after it.
            cached = min(common_prefix(tokens, self.model.input_ids[: self.model.n_tokens].tolist()), len(tokens) - 1)
            given = self.model(
                prompt, max_tokens=self.writing.max_tokens, temperature=0.0, stop=list(self.writing.stop)
            )
            written = given["usage"]["completion_tokens"]
            labelled.add(given["choices"][0]["text"], Request(cached, len(tokens), written))
        return labelled


def _request(output: Any) -> Request:
    """What vLLM says of a finished request."""
    return Request(output.num_cached_tokens or 0, len(output.prompt_token_ids), len(output.outputs[0].token_ids))


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(left, right, strict=False)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(left), len(right)))
