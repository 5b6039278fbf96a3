"""All of `params.yaml`, for those who look at the whole: composing it, checking it, telling what it needs."""

from __future__ import annotations

from pathlib import Path

from stages.common.config import PARAMS, checked, read, require, section
from stages.common.labels import Labels
from stages.curation.config import Curate
from stages.distilling.config import Distil
from stages.drawing.config import Draw
from stages.embedding.config import Embed
from stages.exporting.config import Export
from stages.inference.config import Answer
from stages.ingestion.config import Data
from stages.labelling.config import Label, Prompt
from stages.latency.config import Benchmark
from stages.llm.config import Vllm
from stages.scoring.config import Evaluate
from stages.synthesis.config import Generate
from stages.synthesis.plan import Plan
from stages.training.config import Train
from stages.vocabulary.config import VocabularyFiles
from stages.weights.config import Model


@section
class Params:
    """Every section; each is described where it is defined."""

    seed: int
    labels: Labels
    data: Data
    vocabulary: VocabularyFiles
    models: dict[str, Model]
    vllm: Vllm
    prompt: Prompt
    label: Label
    embed: Embed
    curate: Curate
    plan: Plan
    generate: Generate
    draw: Draw
    distil: Distil
    train: Train
    answer: Answer
    export: Export
    evaluate: Evaluate
    benchmark: Benchmark

    def __post_init__(self) -> None:
        require(
            self.generate.filters.readers == "both" or self.curate.policy != "none",
            "generate.filters.readers=second_opinion, but with curate.policy=none there is none; choose readers=both",
        )
        require(
            self.distil.into is None or (self.train.epochs == 0 and self.train.pooling == "mean"),
            f"distil.into={self.distil.into} makes an encoder for train.epochs=0 and train.pooling=mean; "
            "compose with student=fast, which sets all of it",
        )


def load_all(path: Path = PARAMS) -> Params:
    """Read and check the whole configuration; unlike `common.config.load`, it refuses a section that nobody knows.

    Raises:
        ConfigError: as `common.config.read` and `common.config.checked`.
    """
    return checked(Params, read(path), path)
