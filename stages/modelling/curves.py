"""Learning curves by DVCLive while the student trains."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvclive.live import Live
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

logger = logging.getLogger(__name__)

CURVES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "eval_loss": "validation/loss",
    "eval_macro_f1": "validation/macro_f1",
    "eval_accuracy": "validation/accuracy",
}


class FilesOnly(Live):
    """DVCLive that writes its files and looks at no repository: it fails in one that has no commit yet."""

    def _init_dvc(self) -> None:
        """Know of no DVC repository."""

    def _init_studio(self) -> None:
        """Report to no server."""


class LiveCurves(TrainerCallback):
    """Write `CURVES` over the training step into `folder` (`metrics.json`, `plots/metrics/*.tsv`).

    transformers' own DVCLive callback also writes every training argument, paths of this machine among them.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder and start the files afresh: DVC may have deleted them."""
        self.live = FilesOnly(str(folder), save_dvc_exp=False, dvcyaml=None)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the history that a resumed run brings along."""
        for entry in state.log_history:
            self._log(entry)

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
        self._log({**(logs or {}), "step": state.global_step})

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

    def _log(self, entry: Mapping[str, float]) -> None:
        self.live.step = int(entry["step"])
        for key, name in CURVES.items():
            if key in entry:
                self.live.log_metric(name, entry[key])
        self.live.make_summary()  # type: ignore[no-untyped-call]
