"""`transformers.Trainer` as it trains here: what it takes of the machine, what it stores, and what it tells."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from stages.running.progress import Progress
from stages.training.checkpoints import seal

# What `OneCard` is told by whoever trains: rows of like length share a batch, an epoch ends with a checkpoint, and the
# best one is what remains.
ALWAYS: dict[str, Any] = {
    "train_sampling_strategy": "group_by_length",
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 1,
    "load_best_model_at_end": True,
    # A diverging run must show as nan in the curves, not as the last good loss.
    "logging_nan_inf_filter": False,
    "log_level": "error",
    "disable_tqdm": True,
    "report_to": "none",
    "remove_unused_columns": False,
}


class OneCard(TrainingArguments):
    """Of several graphics cards a process has the first, or its own.

    `Trainer` would take all of them for one process: `torch.nn.DataParallel`, without autocast, and as many batches at
    once.
    """

    @property
    def n_gpu(self) -> int:
        """1, or 0 on a CPU."""
        return int(super().n_gpu > 0)


class Checkpointed(Trainer):
    """`transformers.Trainer` whose checkpoints can be gone on from, and hold what is trained alone."""

    def __init__(self, **arguments: Any) -> None:
        """Take the arguments of `transformers.Trainer`."""
        super().__init__(**arguments)
        # It prints every log entry on standard output; the curves and the log have them already.
        self.remove_callback(PrinterCallback)
        self.add_callback(Sealing())

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """A checkpoint of what is trained: whoever goes on from it has the rest from where training started."""
        assert self.model is not None
        trained = {name for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        weights = state_dict or self.model.state_dict()
        super()._save(output_dir, {name: tensor for name, tensor in weights.items() if name in trained})


class Sealing(TrainerCallback):
    """Seal every checkpoint once every process has written its part of it."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Seal the one of this step."""
        assert args.output_dir is not None
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")


class StepProgress(TrainerCallback):
    """Show how many steps are done; those before a checkpoint are known."""

    def __init__(self, what: str, opened: ExitStack) -> None:
        """Take what is done, and what closes the progress."""
        self.what = what
        self.opened = opened

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start at the step that the trainer goes on from."""
        progress = Progress(self.what, state.max_steps, "steps", known=state.global_step)
        self.progress = self.opened.enter_context(progress)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Count a step."""
        self.progress.update()
