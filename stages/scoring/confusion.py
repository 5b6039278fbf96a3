"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from stages.common.arrays import IntArray
from stages.running.io import atomic_path

DPI = 160


def draw_confusion(confusion: IntArray, label_names: Sequence[str], title: str, paths: Sequence[Path]) -> None:
    """Save confusion counts (labels, labels), actual by predicted: colour is the share of the row, numbers are rows."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    # DejaVu Sans comes with matplotlib and has Cyrillic; type 42 keeps the text of a PDF searchable.
    with rc_context({"font.family": "DejaVu Sans", "pdf.fonttype": 42}):
        figure = Figure(figsize=(9, 8), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ticks = range(len(label_names))
        axes.set_xticks(ticks, label_names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, label_names)
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")
        axes.set_title(title)
        for row, column in zip(*np.nonzero(confusion), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=colour)
        figure.colorbar(image, shrink=0.8, label="share of the row")
        for path in paths:
            # A creation date would make DVC see a new picture after every run.
            metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
            with atomic_path(path) as temporary:
                figure.savefig(temporary, dpi=DPI, metadata=metadata)
