"""Learning curves, written by DVCLive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dvclive.live import Live

# What the trainer calls a figure, and what the curve of it is called.
CURVES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "eval_rows_loss": "validation/loss",
    "eval_macro_f1": "validation/macro_f1",
    "eval_accuracy": "validation/accuracy",
}


class FilesOnly(Live):
    """DVCLive that writes its files and looks at no repository: it fails in one that has no commit yet."""

    def _init_dvc(self) -> None:
        """Know of no DVC repository."""

    def _init_studio(self) -> None:
        """Report to no server."""


class Curves:
    """The figures of `CURVES` over the training step, in `folder` (`metrics.json`, `plots/metrics/*.tsv`)."""

    def __init__(self, folder: Path) -> None:
        """Take the folder and start the files afresh: DVC may have deleted them."""
        self.live = FilesOnly(str(folder), save_dvc_exp=False, dvcyaml=None)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Append the figures that have a curve."""
        self.live.step = step
        for key, name in CURVES.items():
            if key in figures:
                self.live.log_metric(name, figures[key])
        self.live.make_summary()  # type: ignore[no-untyped-call]

    def conclude(self, best_epoch: int, macro_f1: float) -> None:
        """Note in `metrics.json` which epoch's weights are kept, 0 for those before the first, and their macro F1."""
        self.live.log_metric("best/epoch", best_epoch, plot=False)
        self.live.log_metric("best/macro_f1", macro_f1, plot=False)
        self.live.make_summary()  # type: ignore[no-untyped-call]
