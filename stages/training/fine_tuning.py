"""Fine-tuning: the configured loss, two learning rates, the best epoch kept, resumable."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainingArguments,
)

from stages.encoding.quiet import quiet_transformers
from stages.training.config import Train
from stages.training.losses import StudentLoss
from stages.training.rows import TARGETS
from stages.training.student import head_parameters
from stages.training.trainer import ALWAYS, Checkpointed, OneCard, StepProgress
from stages.training.validation import validation_scores

if TYPE_CHECKING:
    from datasets import Dataset

LOSS_POINTS_PER_EPOCH = 10


@dataclass(frozen=True)
class Epochs:
    """What fine-tuning came to: the best epoch, its macro F1 on the validation rows, and where it went on from.

    Epoch 0 is the linear probe that it started from.
    """

    best: int
    macro_f1: float
    resumed_from: int


class Shared(torch.utils.data.Sampler[int]):
    """The order that the first process draws: each has random numbers of its own, which dropout takes from as well."""

    def __init__(self, sampler: torch.utils.data.Sampler[int]) -> None:
        """Take what draws."""
        self.sampler = sampler

    def __len__(self) -> int:
        """Rows of an epoch."""
        return len(self.sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        """Draw the order of an epoch."""
        order: list[int] = broadcast_object_list(list(self.sampler))
        return iter(order)


class StudentTrainer(Checkpointed):
    """A trainer with a `StudentLoss` and a learning rate of its own for the untrained head."""

    def __init__(self, *, loss: StudentLoss, head_learning_rate: float, **arguments: Any) -> None:
        """Take the arguments of `transformers.Trainer`, the loss, and the head's learning rate."""
        super().__init__(**arguments)
        self.loss = loss
        self.head_learning_rate = head_learning_rate
        # The loss is a mean over the batch, whatever keywords the model's forward may take.
        self.model_accepts_loss_kwargs = False
        self.loss_is_scaled_for_ga = False

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Loss of a batch of encoded rows (see `rows.encode`), and the outputs if asked for.

        Each of several processes has its rows of the batch. The mean of what they return, and so of their gradients,
        is the weighted mean over all of its rows.
        """
        outputs = model(**{name: value for name, value in inputs.items() if name not in TARGETS})
        labels, soft_labels, weights = (inputs[name] for name in TARGETS)
        if self.args.world_size > 1:
            weights = self._without_repeated(weights)
        loss = self.loss(outputs["logits"], labels, soft_labels, weights)
        if self.args.world_size > 1:
            weight = self.accelerator.reduce(weights.sum(), "sum").clamp(min=torch.finfo(weights.dtype).tiny)
            loss = loss * weights.sum() * self.args.world_size / weight
        return (loss, outputs) if return_outputs else loss

    def _without_repeated(self, weights: torch.Tensor) -> torch.Tensor:
        """0 for the rows that accelerate repeats in an epoch's last batch, so that every process has as many."""
        batches = self.accelerator.gradient_state
        if batches.end_of_dataloader and batches.remainder > 0:
            first = self.args.process_index * len(weights)
            weights = weights * (torch.arange(len(weights), device=weights.device) < batches.remainder - first)
        return weights

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int] | None:
        """Rows of like length together, in the same order in every process."""
        sampler = super()._get_train_sampler(train_dataset)
        return Shared(sampler) if sampler and self.args.world_size > 1 else sampler

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


class Validation:
    """Scores of the validation rows and the loss over all of them; `Trainer` has a mean over batches, short or not."""

    def __init__(self, rows: Dataset, loss: StudentLoss) -> None:
        """Take encoded rows."""
        self.loss = loss
        self.targets = [torch.tensor([row[name] for row in rows]) for name in TARGETS]

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        """Figures of the rows' logits, which come in their order."""
        logits = np.asarray(prediction.predictions)
        loss = float(self.loss(torch.from_numpy(logits), *self.targets))
        return {**validation_scores(logits, np.asarray(prediction.label_ids)), "rows_loss": loss}


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train_rows: Dataset,
    validation_rows: Dataset,
    loss: StudentLoss,
    settings: Train,
    seed: int,
    checkpoints: Path,
    checkpoint: Path | None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Epochs:
    """Train `model` in place on encoded rows; it ends with the weights of the epoch with the best macro F1.

    Of the linear probe, which is scored if there is one, the caller has the weights. Goes on from `checkpoint` if there
    is one, to the same result as an uninterrupted run on the same machine. The caller deletes `checkpoints`, where they
    are written, once the student is stored.
    """
    arguments = training_arguments(settings, seed, checkpoints, steps=math.ceil(len(train_rows) / settings.batch_size))
    # What was scored before is in the checkpoint.
    arguments.eval_on_start = settings.linear_probe is not None and not checkpoint
    trainer = StudentTrainer(
        loss=loss,
        head_learning_rate=settings.head_learning_rate,
        model=model,
        args=arguments,
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=train_rows,
        eval_dataset=validation_rows,
        compute_metrics=Validation(validation_rows, loss),
        callbacks=[*callbacks],
    )
    with ExitStack() as opened:
        if trainer.is_world_process_zero():
            trainer.add_callback(StepProgress("train", opened))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    history = [entry for entry in trainer.state.log_history if "eval_macro_f1" in entry]
    # Of epochs that are as good the first; the probe has to be better than all.
    best = max(sorted(history, key=lambda entry: entry["step"] == 0), key=lambda entry: entry["eval_macro_f1"])
    resumed = next((entry for entry in history if checkpoint and checkpoint.name.endswith(f"-{entry['step']}")), None)
    return Epochs(round(best["epoch"]), best["eval_macro_f1"], round(resumed["epoch"]) if resumed else 0)


def fine_tune_too(model: PreTrainedModel, *arguments: Any) -> None:
    """Take part in a `fine_tune` of another process; the first exchange between them brings its weights here.

    Args:
        model: of the same architecture, on the device `meta`.
        arguments: those of `fine_tune` without callbacks.
    """
    quiet_transformers()
    fine_tune(model.to_empty(device="cpu"), *arguments)


def training_arguments(settings: Train, seed: int, checkpoints: Path, steps: int) -> TrainingArguments:
    """What `transformers.Trainer` is told; `steps` is the number of batches in an epoch.

    In several processes a batch is shared out among them: `batch_size` is what all have together.
    """
    return OneCard(
        **ALWAYS,
        output_dir=str(checkpoints),
        dataloader_pin_memory=torch.cuda.is_available(),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_share,
        fp16=settings.precision == "fp16",
        bf16=settings.precision == "bf16",
        gradient_checkpointing=settings.gradient_checkpointing is True,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        logging_steps=max(1, steps // LOSS_POINTS_PER_EPOCH),
        seed=seed,
        data_seed=seed,
        label_names=["labels"],
        # Of several processes, or of bfloat16, on a CPU it wants to be told.
        use_cpu=not torch.cuda.is_available(),
        accelerator_config={"split_batches": True},
        # A model may have layers that its classifier does not use.
        ddp_find_unused_parameters=True,
    )
