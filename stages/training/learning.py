"""How a student learns: a head on an encoder as it is, or epochs of fine-tuning; and in the end how sure it may be."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from stages.common.arrays import FloatArray, Vectors
from stages.inference.features import compute_head_inputs, last_linear
from stages.inference.head import Head
from stages.running.errors import DataError, card_memory
from stages.training.checkpoints import last_whole
from stages.training.config import Train
from stages.training.curves import Curves
from stages.training.lexicon import with_lexicon
from stages.training.losses import StudentLoss
from stages.training.precision import require_precision
from stages.training.probe import fit_head
from stages.training.rows import encode, label_counts, targets
from stages.training.temperature import fit_temperature
from stages.training.validation import validation_scores

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

logger = logging.getLogger(__name__)


class Source(Protocol):
    """The encoder that a student starts from, before it is trained."""

    @property
    def tokens(self) -> int:
        """Tokens that there are."""
        ...

    def features(self, texts: Sequence[str]) -> Vectors:
        """What reaches the head, shape (texts, features)."""
        ...

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text."""
        ...


@dataclass(frozen=True)
class Rows:
    """What a student learns from, what chooses its best epoch, and what its confidence is fitted to."""

    train: Dataset
    validation: Dataset
    calibration: Dataset

    def require_validation(self) -> None:
        """Raise `DataError` if there are no validation rows."""
        if not len(self.validation):
            raise DataError(
                "the dataset has no validation rows to choose the best epoch by; raise data.validation_share"
            )


@dataclass(frozen=True)
class Learning:
    """What learning came to. Epoch 0 is the linear probe, on the encoder as it was.

    `temperature` is what the logits were divided by in the end, 1 without scaling.
    """

    best_epoch: int
    macro_f1: float
    temperature: float
    resumed_from_epoch: int


def learn_head(source: Source, rows: Rows, settings: Train, curves: Curves, *, bias: bool) -> tuple[Head, Learning]:
    """A head on the encoder `source`, which stays as it is (`train.epochs` = 0).

    The losses of the fit become the curve of training.

    Raises:
        DataError: no validation rows.
        ConfigError: a loss that does not exist, or half precision on hardware without it.
    """
    rows.require_validation()
    require_precision(settings.precision)
    head, losses = probe(source, rows, settings, bias=bias)
    head = completed(head, source, rows, settings)
    logits = _logits(head, source, rows.validation)
    aims = targets(rows.validation, settings.confidence_weighting)
    scores = validation_scores(logits, aims.labels)
    for step, value in enumerate(losses):
        curves.log(step, {"loss": value})
    validation_loss = float(student_loss(rows, settings)(torch.from_numpy(logits), *aims.tensors()))
    figures = {"eval_rows_loss": validation_loss, **{f"eval_{name}": score for name, score in scores.items()}}
    curves.log(len(losses) - 1, figures)
    temperature = 1.0
    if settings.temperature_scaling:
        temperature = temperature_of(_logits(head, source, rows.calibration), rows)
    return head.scaled(temperature), Learning(0, scores["macro_f1"], temperature, 0)


def learn_all(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    source: Source,
    rows: Rows,
    settings: Train,
    seed: int,
    checkpoints: Path,
    curves: Curves,
    callbacks: Sequence[TrainerCallback] = (),
) -> Learning:
    """Fine-tune `model` in place. It starts from a linear probe if `settings.linear_probe` says so.

    The probe is kept if it answers the validation rows better than every epoch. `source` is the encoder before it is
    trained; an interrupted run goes on from `checkpoints`.

    Raises:
        DataError: no validation rows.
        ConfigError: a loss that does not exist, half precision on hardware without it, more processes than cards, or a
            batch that is too large for the card.
    """
    # Imported here: a head alone needs no trainer, which takes seconds to import.
    from stages.training.fine_tuning import fine_tune, fine_tune_too
    from stages.training.live_curves import LiveCurves
    from stages.training.lora import add_updates
    from stages.training.memory import has_room
    from stages.training.processes import alongside, require_cards
    from stages.training.student import without_weights

    rows.require_validation()
    require_precision(settings.precision)
    require_cards(settings.processes)
    checkpoint = last_whole(checkpoints)
    start: dict[str, torch.Tensor] = {}
    if settings.linear_probe is not None:
        head, _ = probe(source, rows, settings, bias=last_linear(model).bias is not None)
        head.put_into(model)
        start = {name: weights.to("cpu", copy=True) for name, weights in model.state_dict().items()}
    train, validation = (
        encode(part, tokenizer, settings.max_tokens, settings.confidence_weighting)
        for part in (rows.train, rows.validation)
    )
    updates = add_updates(model, settings.lora) if settings.lora else None
    longest = max(map(len, train["input_ids"][:]))
    tokens = settings.batch_size // settings.processes * longest
    if settings.gradient_checkpointing == "auto":
        checkpointing = not has_room(model, tokens, settings.precision)
        settings = dataclasses.replace(settings, gradient_checkpointing=checkpointing)
    work = (tokenizer, train, validation, student_loss(rows, settings), settings, seed, checkpoints, checkpoint)
    smaller = (
        f"{settings.batch_size} rows of up to {longest} tokens have no room; set train.gradient_checkpointing=true, or "
        "lower train.batch_size or train.max_tokens"
    )
    with card_memory(smaller), alongside(settings.processes - 1, fine_tune_too, without_weights(model), *work):
        epochs = fine_tune(model, *work, callbacks=[LiveCurves(curves), *callbacks])
    if updates:
        updates.merge_and_unload()
    curves.conclude(epochs.best, epochs.macro_f1)
    if epochs.best == 0:
        logger.warning(
            "no epoch is better than the linear probe (macro F1 %.4f): it is kept, on the encoder as it was",
            epochs.macro_f1,
        )
        model.load_state_dict(start)
    # Beside a lexicon from the start, the encoder would learn only what that leaves open.
    head = completed(Head.of(model), source, rows, settings)
    temperature = 1.0
    if settings.temperature_scaling:
        texts = rows.calibration["text"][:]
        given = compute_head_inputs(model, tokenizer, texts, settings.batch_size)
        temperature = temperature_of(head.logits(given, _ids(head, source, texts)), rows)
    head.scaled(temperature).put_into(model)
    return Learning(epochs.best, epochs.macro_f1, temperature, epochs.resumed_from)


def completed(head: Head, source: Source, rows: Rows, settings: Train) -> Head:
    """`head` with the lexicon that the settings ask for."""
    if settings.lexicon is None:
        return head
    ids, aims = source.ids(rows.train["text"][:]), targets(rows.train, settings.confidence_weighting)
    return with_lexicon(head, ids, source.tokens, aims, student_loss(rows, settings), settings.lexicon)


def _logits(head: Head, source: Source, rows: Dataset) -> FloatArray:
    texts = rows["text"][:]
    return head.logits(source.features(texts), _ids(head, source, texts))


def _ids(head: Head, source: Source, texts: Sequence[str]) -> list[list[int]] | None:
    return None if head.lexicon is None else source.ids(texts)


def probe(source: Source, rows: Rows, settings: Train, *, bias: bool) -> tuple[Head, list[float]]:
    """A head fitted to the train rows, and the course of its loss."""
    assert settings.linear_probe is not None
    aims = targets(rows.train, settings.confidence_weighting)
    given = source.features(rows.train["text"][:])
    return fit_head(given, aims, student_loss(rows, settings), settings.linear_probe, bias=bias)


def student_loss(rows: Rows, settings: Train) -> StudentLoss:
    """The configured loss, its classes weighted by their train rows."""
    names = rows.train.features["label"].names
    return StudentLoss(settings.loss, settings.soft_label_weight, label_counts(rows.train), names)


def temperature_of(logits: FloatArray, rows: Rows) -> float:
    """The temperature that suits `logits` for the calibration rows."""
    return fit_temperature(logits, targets(rows.calibration).soft_labels)
