"""How fast a card labels, explains and writes with the engine settings of `params.yaml`, without the weights.

    make params SET="profile=gpu vllm=gpu_80gb"
    hf download Qwen/Qwen3-14B --include "*.json" merges.txt --local-dir teacher
    python -m benchmarks.teacher_card teacher [--reviews 2000]

FOLDER holds a model's configuration and tokenizer: ten megabytes. Where it has no weights, vLLM draws random ones of
the same size on the card: they take the same memory and the same time, and what they answer means nothing. A random
model hardly ever ends a line, so that each explanation and each candidate has all the tokens it may have; real ones are
shorter. Prompts are those of the stages, for the shipped reviews. Nothing is read from the cache of answers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stages.common.templates import load_template
from stages.composition.params import Params, load_all
from stages.hardware.machine import GIB
from stages.ingestion.cleaning import clean
from stages.labelling.prompting import Prompter
from stages.llm import vllm_backend
from stages.llm.backend import Refusal, Sampling
from stages.llm.vllm_backend import VllmBackend
from stages.running.config import PARAMS
from stages.running.work import counted
from stages.synthesis.requests import base_requests
from stages.vocabulary.vocabulary import read_seeds, read_vocabulary


def main() -> None:
    """Start the engine, measure, print a line of JSON for each kind of question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--params", type=Path, default=PARAMS)
    parser.add_argument("--reviews", type=int, default=2000, help="how many to label")
    parser.add_argument("--written", type=int, default=512, help="how many explanations and candidates to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    params = load_all(arguments.params)
    if not list(arguments.folder.glob("*.safetensors")):
        with_random_weights()
    backend = VllmBackend(arguments.folder, params.vllm)
    labels = params.labels.names
    reviews = sample(arguments.reviews + 2)
    prompts = Prompter(params.prompt, backend, read_seeds(params.vocabulary.seeds, labels)).render(reviews, labels)
    answers = [params.prompt.category_prefix + label for label in labels]

    # The first question starts the engine, and the second finds what all prompts begin with.
    tell_answers("start", 1, backend.choose(prompts[:1], answers))
    tell_answers("second", 1, backend.choose(prompts[1:2], answers))
    tell_answers("label", arguments.reviews, backend.choose(prompts[2:], answers))
    explained = [f"{prompt}{answers[0]}\n{params.prompt.explanation_prefix}" for prompt in prompts[2:]]
    explained = explained[: arguments.written]
    sampling = Sampling(max_tokens=params.label.explanation_tokens, stop=("\n",))
    tell_answers("explain", len(explained), backend.complete(explained, [sampling] * len(explained)))
    candidates, step = candidate_prompts(params, backend, arguments.written), params.generate.base
    drawn = [
        Sampling(step.max_tokens, step.temperature, step.top_p, seed=number, stop=("\n",))
        for number in range(len(candidates))
    ]
    tell_answers("write", len(candidates), backend.complete(candidates, drawn))


def with_random_weights() -> None:
    """Let vLLM draw the weights."""
    ordinary = vllm_backend.engine_arguments

    def dummy(*given: object) -> dict[str, object]:
        return ordinary(*given) | {"load_format": "dummy"}  # type: ignore[arg-type]

    vllm_backend.engine_arguments = dummy


def sample(count: int) -> list[str]:
    """So many of the shipped reviews; where there are fewer, further ones are two of them in one."""
    texts = [clean(text) for text in pd.read_csv("data/raw/sample/reviews.csv")["text"].dropna()]
    texts = list(dict.fromkeys(filter(None, texts)))
    generator = np.random.default_rng(0)
    more = (
        clean(" ".join(part[: len(part) // 2] for part in generator.choice(texts, 2, replace=False)))
        for _ in itertools.count()
    )
    return list(itertools.islice(itertools.chain(texts, more), count))


def candidate_prompts(params: Params, backend: VllmBackend, count: int) -> list[str]:
    """The first questions of the step `base`, `count` of them, all categories in turn."""
    names, step = params.labels.names, params.generate.base
    vocabulary = read_vocabulary(params.vocabulary, names)
    template = load_template(step.template, backend.neutralise)
    nothing = pd.DataFrame({name: pd.Series(dtype=str) for name in ("id", "text", "label")})
    asked = [
        base_requests(template, vocabulary, nothing, name, step.examples, np.random.default_rng(0)) for name in names
    ]
    turns = itertools.chain.from_iterable(zip(*asked, strict=True))
    prompts = [request.prompt for request in itertools.islice(turns, count)]
    return prompts if params.generate.mode == "completion" else [backend.render(prompt) for prompt in prompts]


def tell_answers(what: str, count: int, answers: Iterable[tuple[int, object]]) -> None:
    """Get all answers; print how many a second, the tokens of each and what is taken of the card, as a line of JSON."""
    begun, before = time.perf_counter(), dict(counted)
    refused = sum(isinstance(answer, Refusal) for _, answer in answers)
    seconds = time.perf_counter() - begun
    free, total = torch.cuda.mem_get_info() if torch.cuda.is_available() else (0, 0)
    figures = {"what": what, "count": count, "refused": refused, "seconds": seconds, "per_second": count / seconds}
    for tokens in ("fresh tokens", "written tokens"):
        figures[tokens] = (counted[tokens] - before.get(tokens, 0)) / count
    figures |= {"taken_gib": (total - free) / GIB, "of_gib": total / GIB}
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}))


if __name__ == "__main__":
    main()
