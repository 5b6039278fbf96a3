"""All of `params.yaml`, for those who look at the whole: composing it, checking it, telling what it needs."""

from __future__ import annotations

from pathlib import Path

from stages.annotating.config import Annotate
from stages.cluster.config import Execute
from stages.common.labels import Labels
from stages.common.provenances import SYNTHETIC_STEPS
from stages.correcting.config import Human
from stages.curation.config import Curate
from stages.distilling.config import Distil
from stages.drawing.config import Draw
from stages.embedding.config import Embed
from stages.exporting.config import Export
from stages.inference.config import Answer
from stages.ingestion.config import Data
from stages.labelling.config import Label, Prompt
from stages.latency.config import Benchmark, Front
from stages.llm.config import Server, Vllm
from stages.measures.config import Doubt
from stages.mixing.config import Mix
from stages.running.config import PARAMS, checked, read, require, section
from stages.scoring.config import Evaluate
from stages.synthesis.config import Generate, Step
from stages.synthesis.plan import Plan
from stages.training.config import Train
from stages.vocabulary.config import VocabularyFiles
from stages.weights.config import Model


@section
class Params:
    """Every section; each is described where it is defined.

    `server` is what the roles that a server serves have in common; what a stage reads is `models.<role>.server`.
    """

    seed: int
    labels: Labels
    data: Data
    vocabulary: VocabularyFiles
    models: dict[str, Model]
    vllm: Vllm
    execute: Execute
    server: Server | None
    prompt: Prompt
    label: Label
    embed: Embed
    mix: Mix
    curate: Curate
    human: Human
    plan: Plan
    generate: Generate
    draw: Draw
    distil: Distil
    train: Train
    answer: Answer
    export: Export
    evaluate: Evaluate
    benchmark: Benchmark
    annotate: Annotate
    doubt: Doubt
    front: Front

    def __post_init__(self) -> None:
        require(
            self.generate.filters.readers == "both" or self.curate.policy != "none",
            "generate.filters.readers=second_opinion, but with curate.policy=none there is none; choose readers=both",
        )
        require(
            self.distil.into is None or self.train.pooling == "mean",
            f"distil.into={self.distil.into} makes an encoder for train.pooling=mean; compose with student=fast or "
            "student=fastest, which set all of it",
        )
        require(
            self.distil.into != "static" or self.train.epochs == 0,
            "distil.into=static makes an encoder for train.epochs=0; compose with student=fastest, which sets it",
        )
        self._check_served()

    def _check_served(self) -> None:
        """What a server cannot give is not asked of it."""
        writes = {"label": self.label.backend, "generate": self.generate.backend}
        served = {role: model.server for role, model in self.models.items()}
        for section_name, role in (("label", "teacher"), ("generate", "generator")):
            require(
                (writes[section_name] == "openai") == (served[role] is not None),
                f"{section_name}.backend={writes[section_name]} and models.{role}.source={self.models[role].source}: "
                "a server's model goes with backend=openai, and no other does; compose with teacher=openai",
            )
        for role, server in served.items():
            require(server is None or role in ("teacher", "generator"), f"models.{role} cannot lie on a server")
        teacher, generator = served["teacher"], served["generator"]
        if teacher and teacher.probabilities != "exact":
            asked = f"models.teacher.server.probabilities={teacher.probabilities}"
            require(self.prompt.chat, f"{asked} asks by chat alone: choose a prompt with chat=true, such as strict")
            require(
                teacher.has_logprobs or self.label.calibration != "contextual",
                f"label.calibration=contextual needs what the model gives to every category, and with {asked} nobody "
                "knows: choose none or batch",
            )
        if generator and generator.probabilities != "exact":
            asked = f"models.generator.server.probabilities={generator.probabilities}"
            for name in SYNTHETIC_STEPS:
                step: Step = getattr(self.generate, name)
                require(
                    step.repetition_penalty == 1.0,
                    f"generate.{name}.repetition_penalty is vLLM's alone, and so not for {asked}: set 1.0",
                )
                require(
                    generator.has_logprobs or step.min_mean_logprob is None,
                    f"generate.{name}.min_mean_logprob needs log-probabilities, and with {asked} there are none: set "
                    "null",
                )


def load_all(path: Path = PARAMS) -> Params:
    """Read and check the whole configuration; unlike `common.config.load`, it refuses a section that nobody knows.

    Raises:
        ConfigError: as `common.config.read` and `common.config.checked`.
    """
    return checked(Params, read(path), path)
