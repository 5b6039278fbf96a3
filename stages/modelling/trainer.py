"""Fine-tuning of the student: the configured loss, two learning rates, the best epoch kept, resumable."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from stages.common.config import Train, require
from stages.common.errors import DataError
from stages.common.schema import FloatArray
from stages.modelling.checkpoints import last_complete
from stages.modelling.features import last_linear
from stages.modelling.losses import StudentLoss
from stages.modelling.metrics import confusion_matrix, score
from stages.modelling.probe import probe_head, probe_logits
from stages.modelling.rows import encode, label_counts
from stages.modelling.student import head_parameters
from stages.modelling.temperature import fit_temperature, scale_head

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

TARGETS = ("labels", "soft_labels", "weights")
LOSS_POINTS_PER_EPOCH = 10


@dataclass(frozen=True)
class FineTuning:
    """What a finished run reports. Epoch 0 is the linear probe; `seconds` counts from `resumed_from_epoch`.

    `temperature` is what the logits were divided by in the end, 1 without scaling.
    """

    best_epoch: int
    macro_f1: float
    temperature: float
    seconds: float
    resumed_from_epoch: int


class StudentTrainer(Trainer):
    """`transformers.Trainer` with a `StudentLoss` and a learning rate of its own for the untrained head."""

    def __init__(self, *, loss: StudentLoss, head_learning_rate: float, **arguments: Any) -> None:
        """Take the arguments of `transformers.Trainer`, the loss, and the head's learning rate."""
        super().__init__(**arguments)
        self.loss = loss
        self.head_learning_rate = head_learning_rate
        # The loss is a mean over the batch, whatever keywords the model's forward may take.
        self.model_accepts_loss_kwargs = False
        self.loss_is_scaled_for_ga = False
        # It prints every log entry on standard output; the curves and the log have them already.
        self.remove_callback(PrinterCallback)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Loss of a batch of encoded rows (see `rows.encode`), and the outputs if asked for."""
        outputs = model(**{name: value for name, value in inputs.items() if name not in TARGETS})
        loss = self.loss(outputs["logits"], *(inputs[name] for name in TARGETS))
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW over body and head, each split into decayed weights and undecayed biases and norms."""
        if self.optimizer is None:
            assert isinstance(self.model, PreTrainedModel)
            decayed = set(self.get_decay_parameter_names(self.model))
            head = head_parameters(self.model)
            groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    groups.setdefault((name in head, name in decayed), []).append(parameter)
            optimizer, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = optimizer(
                [
                    {
                        "params": parameters,
                        "lr": self.head_learning_rate if in_head else self.args.learning_rate,
                        "weight_decay": self.args.weight_decay if with_decay else 0.0,
                    }
                    for (in_head, with_decay), parameters in sorted(groups.items(), key=lambda group: group[0])
                ],
                **settings,
            )
        return self.optimizer


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train_rows: Dataset,
    validation_rows: Dataset,
    calibration_rows: Dataset,
    settings: Train,
    seed: int,
    checkpoints: Path,
    callbacks: Sequence[TrainerCallback] = (),
) -> FineTuning:
    """Train `model` in place; it ends with the weights of the epoch with the best validation macro F1.

    It starts from a linear probe if `settings.linear_probe` says so; with no epochs it ends there. The temperature is
    fitted to `calibration_rows`.

    Goes on from the last complete checkpoint in `checkpoints` if there is one, to the same result as an
    uninterrupted run on the same machine. The caller deletes `checkpoints` once the student is stored.

    Raises:
        DataError: no validation rows.
        ConfigError: a loss that does not exist, or half precision without a graphics card.
    """
    if not len(validation_rows):
        raise DataError("the dataset has no validation rows to choose the best epoch by; raise data.validation_share")
    require_precision(settings.precision)
    label_names = train_rows.features["label"].names
    encoded = encode(train_rows, tokenizer, settings.max_tokens, settings.confidence_weighting)
    validation = encode(validation_rows, tokenizer, settings.max_tokens, settings.confidence_weighting)
    calibration = encode(calibration_rows, tokenizer, settings.max_tokens, settings.confidence_weighting)
    loss = StudentLoss(settings.loss, settings.soft_label_weight, label_counts(train_rows), label_names)
    trainer = StudentTrainer(
        loss=loss,
        head_learning_rate=settings.head_learning_rate,
        model=model,
        args=training_arguments(settings, seed, checkpoints, steps=math.ceil(len(train_rows) / settings.batch_size)),
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=encoded,
        eval_dataset=validation,
        compute_metrics=_validation_metrics,
        callbacks=list(callbacks),
    )
    checkpoint = last_complete(checkpoints)
    temperature = 1.0
    start = time.perf_counter()
    if settings.linear_probe is not None and not checkpoint:
        # Only now is the model where it will be trained: on a graphics card, if there is one.
        losses = probe_head(model, tokenizer, encoded, loss, settings.linear_probe)
        if not settings.epochs:
            for trainer.state.global_step, value in enumerate(losses):
                trainer.log({"loss": value})
            scores = trainer.evaluate()
            if settings.temperature_scaling:
                # By features, which a frozen encoder has in common with the next student's.
                temperature = _scaled(model, probe_logits(model, tokenizer, calibration), calibration)
            return FineTuning(
                best_epoch=0,
                macro_f1=scores["eval_macro_f1"],
                temperature=temperature,
                seconds=time.perf_counter() - start,
                resumed_from_epoch=0,
            )
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    history = [entry for entry in trainer.state.log_history if "eval_macro_f1" in entry]
    best = max(history, key=lambda entry: entry["eval_macro_f1"])
    resumed = next((entry for entry in history if checkpoint and checkpoint.name.endswith(f"-{entry['step']}")), None)
    if settings.temperature_scaling:
        temperature = _scaled(model, np.asarray(trainer.predict(calibration).predictions), calibration)
    return FineTuning(
        best_epoch=round(best["epoch"]),
        macro_f1=best["eval_macro_f1"],
        temperature=temperature,
        seconds=time.perf_counter() - start,
        resumed_from_epoch=round(resumed["epoch"]) if resumed else 0,
    )


def training_arguments(settings: Train, seed: int, checkpoints: Path, steps: int) -> TrainingArguments:
    """What `transformers.Trainer` is told; `steps` is the number of batches in an epoch."""
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_share,
        fp16=settings.precision == "fp16",
        bf16=settings.precision == "bf16",
        gradient_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        logging_steps=max(1, steps // LOSS_POINTS_PER_EPOCH),
        # A diverging run must show as nan in the curves, not as the last good loss.
        logging_nan_inf_filter=False,
        log_level="error",
        disable_tqdm=not sys.stderr.isatty(),
        report_to="none",
        seed=seed,
        data_seed=seed,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def require_precision(precision: str) -> None:
    """Stop before half precision on hardware that has none.

    Raises:
        ConfigError: no graphics card, or bfloat16 on one that would emulate it.
    """
    if precision == "fp32":
        return
    cuda = torch.cuda.is_available()
    require(cuda, f"train.precision={precision} needs a graphics card; use train.precision=fp32")
    if precision == "bf16":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        require(native, "train.precision=bf16 would be emulated on this graphics card; use train.precision=fp16")


def _scaled(model: PreTrainedModel, logits: FloatArray, rows: Dataset) -> float:
    """Scale what `model` gives by the temperature that suits its `logits` for the encoded `rows`; return it."""
    temperature = fit_temperature(logits, np.asarray(rows["labels"][:]))
    scale_head(last_linear(model), temperature)
    return temperature


def _validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Accuracy, and macro F1 over the labels that are present or predicted: inventing a label must cost."""
    logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    scores = score(confusion_matrix(labels, logits.argmax(axis=1), logits.shape[1]))
    return {"accuracy": float(scores.accuracy), "macro_f1": float(np.nanmean(scores.f1))}
