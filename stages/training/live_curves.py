"""The curves of a student while it is fine-tuned."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stages.training.curves import Curves

logger = logging.getLogger(__name__)


class LiveCurves(TrainerCallback):
    """Hand what `transformers.Trainer` logs to the curves.

    transformers' own DVCLive callback also writes every training argument, paths of this machine among them.
    """

    def __init__(self, curves: Curves) -> None:
        """Take the curves."""
        self.curves = curves

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the history that a resumed run brings along."""
        for entry in state.log_history:
            self.curves.log(int(entry["step"]), entry)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the running mean of the loss at the epoch's end, where checkpoints are: resuming changes no point."""
        control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append what the trainer logs to the curves."""
        self.curves.log(state.global_step, logs or {})

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell the epoch's result in the log."""
        macro_f1 = (metrics or {}).get("eval_macro_f1", float("nan"))
        logger.info("epoch %.0f of %d: validation macro F1 %.4f", state.epoch, state.num_train_epochs, macro_f1)
