"""Section `train`: how a student learns."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from stages.running.config import require, require_option, section


@section
class Loss:
    """A classification loss over class counts; see `stages/training/losses.py` for each one's source."""

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
class Lora:
    """Low-rank updates of linear layers: `alpha` / `rank` is their scale, `dropout` that of what they read.

    `targets`: the layers' last names, such as q_proj; null: all of the encoder.
    """

    rank: int
    alpha: float
    dropout: float
    targets: list[str] | None

    def __post_init__(self) -> None:
        require(self.rank >= 1 and self.alpha > 0, "train.lora.rank must be at least 1, train.lora.alpha above 0")
        require(0 <= self.dropout < 1, f"train.lora.dropout={self.dropout} is not within 0…1 (1 excluded)")
        require(self.targets != [], "train.lora.targets=[] names no layer; null stands for all of them")


@section
class Lexicon:
    """A regression on the tokens of a text: its say beside the encoder's 1, and scikit-learn's C."""

    weight: float
    regularisation: float

    def __post_init__(self) -> None:
        require(self.weight > 0, "train.lexicon.weight must be above 0; train.lexicon=null leaves it out")
        require(self.regularisation > 0, "train.lexicon.regularisation must be above 0")


@section
class Train:
    """Fine-tuning of the student.

    `prompt` stands before every review, `suffix` after it, however long it is; with `lowercase` the review is read in
    lower case, and without the dots of ё; `pooling` makes one vector of all
    tokens: `mean`, `cls` for the first one's, `last`, as a decoder needs it, or `model` for what the architecture's own
    classifier in transformers does; `layers` cuts the encoder down to its first so many; with `lora` low-rank updates
    are trained in its weights' place, `frozen_embeddings` leaves the word vectors as they are. `linear_probe`: the head
    starts from a regression on the frozen encoder with this C, and with `epochs` = 0 that is all; null: from random
    weights, or with `last` from what the language model itself would say. `lexicon` gives single tokens a say of their
    own, beside the encoder.
    `temperature_scaling` fits its confidence to the rows of `data.gold.calibration`, or to the validation rows where
    there are none.
    `gradient_checkpointing` computes activations twice instead of keeping them; `auto`: where the graphics card has no
    room for them. `processes` share out every batch of `batch_size` between as many graphics cards. `precision` is what
    products are computed in, `fp32`, `fp16` or `bf16`; the latter on processors that have it too.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    warmup_share: float
    max_tokens: int
    prompt: str
    suffix: str
    lowercase: bool
    pooling: str
    layers: int | None
    lora: Lora | None
    frozen_embeddings: bool
    linear_probe: float | None
    lexicon: Lexicon | None
    precision: str
    gradient_checkpointing: bool | Literal["auto"]
    processes: int
    soft_label_weight: float
    confidence_weighting: bool
    temperature_scaling: bool
    loss: Loss

    def __post_init__(self) -> None:
        require_option("train.pooling", self.pooling, ("mean", "cls", "last", "model"))
        require_option("train.precision", self.precision, ("fp32", "fp16", "bf16"))
        require(self.epochs >= 0 and self.batch_size >= 1, "train.epochs must be at least 0, train.batch_size 1")
        shares = self.processes >= 1 and self.batch_size % self.processes == 0
        require(shares, f"train.processes={self.processes} cannot share out train.batch_size={self.batch_size}")
        require(self.epochs > 0 or self.linear_probe is not None, "train.epochs=0 needs train.linear_probe")
        require(self.epochs > 0 or self.lora is None, "train.epochs=0 trains no train.lora; set it to null")
        require(not self.suffix or self.pooling == "last", "train.suffix is read by train.pooling=last alone")
        require(self.linear_probe is None or self.linear_probe > 0, "train.linear_probe must be above 0, or null")
        read = self.lexicon is None or self.pooling in ("mean", "cls")
        require(read, "train.lexicon stands beside train.pooling=mean or cls; set it to null")
        require(0 <= self.warmup_share < 1, f"train.warmup_share={self.warmup_share} is not within 0…1")
        require(0 <= self.soft_label_weight <= 1, "train.soft_label_weight is not within 0…1")
